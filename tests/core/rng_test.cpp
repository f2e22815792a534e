// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/rng.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

using infalign::philox4x32;
using infalign::uniform_at;

TEST_CASE("philox4x32-10 gives the known answers of Random123") {
  // From the file kat_vectors of the Random123 distribution (Salmon et al., SC 2011).
  struct known_answer {
    std::uint32_t counter[4];
    std::uint32_t key[2];
    std::uint32_t answer[4];
  };
  const known_answer known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  const auto join = [](std::uint32_t low, std::uint32_t high) { return (std::uint64_t{high} << 32) | low; };
  for (const known_answer& k : known) {
    const philox4x32 block(join(k.counter[0], k.counter[1]), join(k.counter[2], k.counter[3]), join(k.key[0], k.key[1]));
    for (int i = 0; i < 4; ++i) CHECK(block.word[i] == k.answer[i]);
  }
}

TEST_CASE("uniform_at takes the upper 53 bits of two words") {
  // Words 6627e8d5 e169c58d of the first known answer.
  static_assert(uniform_at(0, 0) == static_cast<double>(0x6627e8d5e169c58dULL >> 11) / 9007199254740992.0);
  for (std::uint64_t position = 0; position < 1000; ++position) {
    const double u = uniform_at(7, position);
    CHECK(u >= 0);
    CHECK(u < 1);
    CHECK(u * 0x1.0p53 == std::floor(u * 0x1.0p53));
  }
}

TEST_CASE("uniform_at is uniform, and independent between neighbours and seeds") {
  // χ² over a 16×16 grid of pairs: 255 degrees of freedom, mean 255, variance 510. Six standard deviations on either side.
  const auto chi_square = [](auto&& pair) {
    constexpr int n = 100'000;
    std::vector<double> cells(256, 0.0);
    for (int i = 0; i < n; ++i) {
      const auto [a, b] = pair(static_cast<std::uint64_t>(i));
      cells[static_cast<std::size_t>(16 * static_cast<int>(16 * a) + static_cast<int>(16 * b))] += 1;
    }
    double sum = 0;
    for (const double c : cells) sum += (c - n / 256.0) * (c - n / 256.0) / (n / 256.0);
    return sum;
  };
  struct two {
    double a, b;
  };
  const double bound = 6 * std::sqrt(510.0);
  CHECK(std::abs(chi_square([](std::uint64_t i) {
                   return two{uniform_at(1, 2 * i), uniform_at(1, 2 * i + 1)};
                 }) -
                 255) < bound);
  CHECK(std::abs(chi_square([](std::uint64_t i) { return two{uniform_at(1, i), uniform_at(2, i)}; }) - 255) < bound);
  CHECK(std::abs(chi_square([](std::uint64_t i) { return two{uniform_at(i, 0), uniform_at(i, 1ull << 32)}; }) - 255) < bound);
}
