// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/binomial.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using infalign::choose_ratio;
using infalign::index_t;

TEST_CASE("choose_ratio equals Pascal's triangle") {
  // binom(n,k) for n <= 120 in long double: every entry is a sum of positive terms, so its relative error stays below n·2⁻⁶⁴.
  constexpr int largest = 120;
  std::vector<std::vector<long double>> choose(largest + 1, std::vector<long double>(largest + 1, 0.0L));
  for (std::size_t n = 0; n <= largest; ++n) {
    choose[n][0] = 1;
    for (std::size_t k = 1; k <= n; ++k) choose[n][k] = choose[n - 1][k - 1] + (k < n ? choose[n - 1][k] : 0.0L);
  }
  for (index_t m = 1; m <= largest; ++m)
    for (index_t n = 0; n <= m; ++n)
      for (index_t c = 0; c <= m; ++c) {
        const auto at = [&](index_t a, index_t b) { return choose[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)]; };
        const auto expected = static_cast<double>(c < n ? 0.0L : at(c, n) / at(m, n));
        const double ratio = choose_ratio(c, m, n);
        // Up to 64 factors with two roundings each; in log space m·log m ≈ 600 ulp at this size.
        REQUIRE(std::abs(ratio - expected) <= 1000 * 2.3e-16 * expected);
      }
}

TEST_CASE("choose_ratio of a million neither overflows nor loses its digits") {
  const index_t m = 1'000'000;
  // Exact cases: all of them, none, one left out, the hypergeometric mean.
  for (const index_t n : {1, 17, 1000, 500'000, 999'999, 1'000'000}) {
    CHECK(choose_ratio(m, m, n) == 1.0);
    CHECK(choose_ratio(m - 1, m, n) == doctest::Approx(1 - static_cast<double>(n) / static_cast<double>(m)).epsilon(1e-12));
  }
  CHECK(choose_ratio(499'999, m, 500'000) == 0.0);
  // binom(c,n)/binom(m,n) as a product of n factors, summed as logarithms in long double.
  for (const index_t n : {100, 1000, 20'000})
    for (const index_t c : {999'000, 990'000, 750'000, 300'000}) {
      long double sum = 0;
      for (index_t i = 0; i < n; ++i) sum += std::log(static_cast<long double>(c - i) / static_cast<long double>(m - i));
      if (sum < -650) continue;  // below the range of double
      const auto expected = static_cast<double>(std::exp(sum));
      CHECK(std::abs(choose_ratio(c, m, n) - expected) <= 1e-9 * expected);
    }
}

namespace {
/// The ratio as the shorter of its two products, in long double: relative error below 2⁻⁶³ a factor, and a range of 1e±4932.
long double product(index_t c, index_t m, index_t n) {
  if (c < n) return 0;
  const index_t factors = std::min(n, m - c), removed = std::max(n, m - c);
  long double ratio = 1;
  for (index_t k = 0; k < factors && ratio > 0; ++k)
    ratio *= static_cast<long double>(m - removed - k) / static_cast<long double>(m - k);
  return ratio;
}
}  // namespace

TEST_CASE("choose_ratio of a million equals long double products for every n") {
  const index_t m = 1'000'000;
  for (const index_t n : {1, 63, 64, 65, 66, 1000, 31'623, 250'000, 500'000, 750'000, 999'000, 999'935, 999'936, 999'999})
    for (const index_t distance : {0, 1, 15, 16, 17, 63, 64, 65, 100, 1000, 10'000, 400'000})
      for (const index_t c : {m - distance, n + distance}) {
        if (c < n || c > m) continue;
        const auto expected = static_cast<double>(product(c, m, n));
        if (expected < 1e-300) {
          CHECK(choose_ratio(c, m, n) <= 1.1e-300);
          continue;
        }
        CAPTURE(n);
        CAPTURE(c);
        const double allowed = std::min(n, m - c) <= 64 ? 2e-14 : 1e-9;
        CHECK(std::abs(choose_ratio(c, m, n) - expected) <= allowed * expected);
      }
}

TEST_CASE("choose_ratio increases with c from 0 to 1") {
  // Also where the product gives way to logarithms.
  for (const auto& [m, n] : {std::pair<index_t, index_t>(1'000'000, 500'000), {1'000'000, 65}, {10'000, 9'900}, {300, 70}}) {
    CHECK(choose_ratio(n - 1, m, n) == 0.0);
    CHECK(choose_ratio(m, m, n) == 1.0);
    const index_t step = std::max<index_t>(1, (m - n) / 5000);
    const auto check = [m = m, n = n](index_t below, index_t above) {
      const double low = choose_ratio(below, m, n), high = choose_ratio(above, m, n);
      REQUIRE(std::isfinite(high));
      REQUIRE((low < high || (low == high && high < 1e-300)));
    };
    for (index_t c = n; c + step <= m; c += step) check(c, c + step);
    for (index_t c = n; c < std::min(m, n + 40); ++c) check(c, c + 1);
    for (index_t c = std::max(n, m - 100); c < m; ++c) check(c, c + 1);
  }
}

TEST_CASE("binomial probabilities and tails, below and above the switch to the saddle-point form") {
  using infalign::binomial_at_least, infalign::binomial_probability;
  struct row {
    index_t n;
    double q;
    index_t k;
    double probability, at_least;
  };
  // From 40-digit arithmetic.
  for (const row& r : {row{10, 0.3, 4, 0.20012094899999999, 0.35038928159999997},
                       {1000, 0.25, 260, 0.022072407756155122, 0.24292735945071224},
                       {1001, 0.25, 260, 0.022362834173999268, 0.24873588780759516},
                       {100'000, 0.5, 50'321, 0.00032132093606623433, 0.021329916175681292},
                       {1'000'000, 0.001, 960, 0.0057205072286267091, 0.90057827261420585}}) {
    CHECK(std::abs(binomial_probability(r.n, r.q, r.k) - r.probability) <= 1e-11 * r.probability);
    CHECK(std::abs(binomial_at_least(r.n, r.q, r.k) - r.at_least) <= 1e-11 * r.at_least);
  }
  CHECK(binomial_probability(5, 0.5, 6) == 0);
  CHECK(binomial_probability(5, 0.5, -1) == 0);
  CHECK(binomial_probability(0, 0.5, 0) == 1);
  CHECK(binomial_at_least(5, 0.5, 0) == 1);
  CHECK(binomial_at_least(5, 0.5, 6) == 0);
  CHECK(binomial_at_least(5, 0.0, 1) == 0);
  CHECK(binomial_at_least(5, 1.0, 5) == 1);
}

TEST_CASE("binomial tails of many samples are integrals of some hundred terms") {
  struct row {
    index_t n;
    double q;
    index_t k;
    double at_least;
  };
  // 40-digit sums.
  for (const row& r : {row{2500, 0.41, 1000, 0.85013990045153611},
                       {1'000'000, 0.0049, 5000, 0.077437547367872199},
                       {10'000'000, 0.3002, 3'000'000, 0.91624592986295628},
                       {100'000'000, 0.49995, 50'000'000, 0.15867945100381463},
                       {1'000'000'000, 0.90001, 900'000'000, 0.85410215677170819}}) {
    CAPTURE(r.n);
    CHECK(std::abs(infalign::binomial_at_least(r.n, r.q, r.k) - r.at_least) <=
          1e-15 * std::sqrt(r.n) * r.at_least + 2e-12 * r.at_least);
  }
  // Of the largest N too: by symmetry, and far from the mode.
  constexpr index_t most = infalign::most_binomial_samples;
  CHECK(std::abs(infalign::binomial_at_least(most - 1, 0.5, most / 2) - 0.5) <= 1e-9);
  CHECK(infalign::binomial_at_least(most, 0.25, most / 2) == 0);
  CHECK(infalign::binomial_at_least(most, 0.75, most / 2) == 1);
}

TEST_CASE("hypergeometric probabilities and tails") {
  using infalign::hypergeometric_at_least, infalign::hypergeometric_probability;
  struct row {
    index_t c, m, n, k;
    double probability, at_least;
  };
  // From 40-digit arithmetic.
  for (const row& r : {row{5, 12, 4, 2, 0.42424242424242424, 0.57575757575757576},
                       {300, 1000, 100, 35, 0.046391179880505791, 0.15044010661571064},
                       {400'000, 1'000'000, 1000, 420, 0.011150670843724556, 0.10416549954873163}}) {
    CHECK(std::abs(hypergeometric_probability(r.c, r.m, r.n, r.k) - r.probability) <= 1e-9 * r.probability);
    CHECK(std::abs(hypergeometric_at_least(r.c, r.m, r.n, r.k) - r.at_least) <= 1e-9 * r.at_least);
  }
  CHECK(hypergeometric_at_least(5, 12, 8, 1) == 1);  // only 7 are outside
  CHECK(hypergeometric_at_least(5, 12, 4, 5) == 0);
}
