// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/storage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

using infalign::bfloat16;
using infalign::half;

namespace {

/// The value of a 16-bit pattern from its fields.
double decode(std::uint16_t bits, int exponent_bits) {
  const int significand_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> significand_bits) & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << significand_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - significand_bits);
  return sign * std::ldexp((1 << significand_bits) + fraction, exponent - bias - significand_bits);
}

template <class Storage>
Storage from_bits(std::uint32_t bits) {
  Storage s;
  s.bits = static_cast<std::uint16_t>(bits);
  return s;
}

/// Of the two neighbours of `x` among the finite values (and the first value beyond, for infinity), the nearer, ties to even.
template <class Storage>
std::uint16_t nearest(float x, int exponent_bits) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(x) ? 0x8000 : 0);
  const double size = std::fabs(static_cast<double>(x));
  const std::uint16_t infinite = static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << (15 - exponent_bits));
  std::uint16_t low = 0;
  std::uint16_t high = infinite;
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (decode(middle, exponent_bits) <= size ? low : high) = middle;
  }
  const double below = decode(low, exponent_bits);
  const double step = low == 0 ? decode(1, exponent_bits) : below - decode(static_cast<std::uint16_t>(low - 1), exponent_bits);
  const double above = high == infinite ? below + step : decode(high, exponent_bits);
  const bool up = size - below > above - size || (size - below == above - size && (low & 1) != 0);
  return static_cast<std::uint16_t>(sign | (up ? high : low));
}

template <class Storage>
void check_format(int exponent_bits) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const auto stored = from_bits<Storage>(bits);
    const double expected = decode(stored.bits, exponent_bits);
    const float value = stored;
    if (std::isnan(expected)) {
      REQUIRE(std::isnan(value));
      REQUIRE(std::isnan(static_cast<float>(Storage(value))));
    } else {
      REQUIRE(static_cast<double>(value) == expected);
      REQUIRE(Storage(value).bits == stored.bits);
    }
  }
  std::mt19937 generator(7);
  for (int i = 0; i < 200000; ++i) {
    const std::uint32_t word = static_cast<std::uint32_t>(generator());
    float x;
    std::memcpy(&x, &word, sizeof x);
    if (i % 2 == 0) x = std::ldexp(static_cast<float>(word % 65536) / 32768.0f, static_cast<int>(word >> 16) % 40 - 30);
    if (std::isnan(x) || std::isinf(x)) continue;
    REQUIRE(Storage(x).bits == nearest<Storage>(x, exponent_bits));
  }
}

}  // namespace

TEST_CASE("bfloat16 holds every value of its format and rounds to nearest even") {
  check_format<bfloat16>(8);
}
TEST_CASE("half holds every value of its format and rounds to nearest even") {
  check_format<half>(5);
}

TEST_CASE("16-bit storage starts at 0") {
  CHECK(bfloat16().bits == 0);
  CHECK(half().bits == 0);
}
TEST_CASE("infinities and the largest values of 16-bit storage") {
  CHECK(std::isinf(static_cast<float>(bfloat16(HUGE_VALF))));
  CHECK(std::isinf(static_cast<float>(half(-HUGE_VALF))));
  CHECK(static_cast<float>(half(65519.0f)) == 65504.0f);
  CHECK(std::isinf(static_cast<float>(half(65520.0f))));
  CHECK(std::signbit(static_cast<float>(half(-0.0f))));
}
