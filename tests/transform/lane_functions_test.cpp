// SPDX-License-Identifier: Apache-2.0
/// \file
/// Exponential and logarithm of SIMD lanes of `float` against the standard ones in double.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/core/math.hpp"
#include "support/samples.hpp"

namespace {

using lanes = xsimd::batch<float>;

template <class Function>
std::vector<float> on_lanes(std::vector<float> x, const Function& f) {
  const std::size_t n = x.size();
  x.resize((n + lanes::size - 1) / lanes::size * lanes::size, 0.0f);
  for (std::size_t i = 0; i < x.size(); i += lanes::size) f(lanes::load_unaligned(x.data() + i)).store_unaligned(x.data() + i);
  x.resize(n);
  return x;
}

std::vector<float> lane_exponentials(const std::vector<float>& x) {
  return on_lanes(x, [](const lanes& v) { return infalign::detail::natural_exp(v); });
}
std::vector<float> lane_logarithms(const std::vector<float>& x) {
  return on_lanes(x, [](const lanes& v) { return infalign::detail::natural_log(v); });
}

/// Every `step`-th number from 0 to `last`, with the sign of `last`, in the order of the bits.
std::vector<float> numbers_to(float last, std::uint32_t step) {
  const std::uint32_t sign = std::signbit(last) ? 0x80000000u : 0u;
  std::vector<float> all;
  for (std::uint32_t bits = 0; bits <= std::bit_cast<std::uint32_t>(std::abs(last)); bits += step)
    all.push_back(std::bit_cast<float>(bits | sign));
  return all;
}

constexpr float least = -87.33654f;     // down to it the result is a normal number
constexpr float vanishing = -87.6832f;  // -126.5·log 2; below it the result is 0
constexpr float largest = 88.37f;       // up to it the result is finite
constexpr float overflow = 88.3763f;    // from it on the result is infinite

}  // namespace

TEST_CASE("the exponential of float lanes has a relative error of at most 1e-7, is 0 below -87.6832 and infinite above 88.38") {
  for (const float last : {-104.0f, 90.0f}) {
    const std::vector<float> x = numbers_to(last, 1000), y = lane_exponentials(x);
    double worst = 0;
    int wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      if (x[i] < vanishing)
        wrong += y[i] != 0;
      else if (x[i] < least)
        wrong += !(y[i] >= 0 && y[i] < std::numeric_limits<float>::min());
      else if (x[i] <= largest)
        worst = infalign::test::larger(worst, std::abs(static_cast<double>(y[i]) - exact) / exact);
      else if (x[i] >= overflow)
        wrong += y[i] != infalign::infinity<float>;
    }
    CHECK(worst <= 1e-7);
    CHECK(wrong == 0);
  }
}

TEST_CASE("the exponential of float lanes at the edges") {
  constexpr float inf = infalign::infinity<float>, tiny = std::numeric_limits<float>::min(),
                  tiniest = std::numeric_limits<float>::denorm_min();
  const auto next = [](float x, float to) { return std::nextafter(x, to); };
  CHECK(lane_exponentials({0.0f, -0.0f, tiniest, -tiniest, tiny, -tiny, 1e-20f, -1e-20f}) == std::vector<float>(8, 1.0f));
  CHECK(lane_exponentials({-inf, next(vanishing, -inf), -88.0f, -104.0f, -1e30f, std::numeric_limits<float>::lowest()}) ==
        std::vector<float>(6, 0.0f));
  CHECK(lane_exponentials({inf, 88.73f, 104.0f, 1e30f, std::numeric_limits<float>::max()}) == std::vector<float>(5, inf));
  // The smallest result is a normal number, and the largest is finite.
  const std::vector<float> ends = lane_exponentials({least, largest});
  CHECK(ends[0] >= tiny);
  CHECK(std::isfinite(ends[1]));
}

TEST_CASE("the exponential of float lanes passes NaN, whatever its sign and payload, in every lane") {
  for (const std::uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu, 0x7fc12345u})
    for (std::size_t place = 0; place < lanes::size; ++place) {
      std::vector<float> x(lanes::size, 1.0f);
      x[place] = std::bit_cast<float>(bits);
      const std::vector<float> y = lane_exponentials(x);
      for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i == place));
    }
}

TEST_CASE("the logarithm of float lanes has a relative error of at most 1e-7") {
  constexpr float inf = infalign::infinity<float>;
  const std::vector<float> x = numbers_to(std::numeric_limits<float>::max(), 1000), y = lane_logarithms(x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = std::log(static_cast<double>(x[i]));
    if (x[i] > 0 && x[i] != 1) worst = infalign::test::larger(worst, std::abs((static_cast<double>(y[i]) - exact) / exact));
  }
  CHECK(worst <= 1e-7);
  CHECK(lane_logarithms({1.0f, 0.0f, -0.0f, inf}) == std::vector<float>{0.0f, -inf, -inf, inf});
  for (const float undefined : lane_logarithms({-1.0f, -inf, std::numeric_limits<float>::quiet_NaN(), -1e-40f}))
    CHECK(std::isnan(undefined));
}
