// SPDX-License-Identifier: Apache-2.0
#include "infalign/statistics/sign_flip.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "infalign/core/binomial.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::sign_flip_p_value;

namespace {

double p_value(const std::vector<double>& differences, std::uint64_t seed = 0) {
  return sign_flip_p_value(infalign::span<const double>(differences.data(), static_cast<index_t>(differences.size())), seed);
}

/// The number of sign choices of `d[i…]` with `|sum ± …| >= least`.
int count(const std::vector<double>& d, std::size_t i, double sum, double least) {
  if (i == d.size()) return std::abs(sum) >= least - 1e-9 ? 1 : 0;
  return count(d, i + 1, sum + d[i], least) + count(d, i + 1, sum - d[i], least);
}

/// `n` differences of the same size, of which k are negative: twice the tail of a binomial distribution.
double of_equal_sizes(index_t n, index_t k) {
  const index_t few = k < n - k ? k : n - k;
  return 2 * few == n ? 1 : 2 * (1 - infalign::binomial_at_least(n, 0.5, few + 1));
}

}  // namespace

TEST_CASE("up to 20 differences: the count over all signs") {
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal(0.4, 1);
  for (const std::size_t n : {1, 2, 3, 7, 8, 9, 13, 16}) {
    std::vector<double> d(n);
    double sum = 0;
    for (double& x : d) sum += x = normal(generator);
    CHECK(p_value(d) == doctest::Approx(count(d, 0, 0, std::abs(sum)) / std::exp2(n)).epsilon(1e-14));
  }
  CHECK(p_value({0.1, 0.2, 0.3}) == 0.25);
  CHECK(p_value({-0.1, -0.2, 0.3}) == 1);  // 0 up to rounding
  CHECK(p_value({1, 1, 1, 1, 1, 1}) == 2.0 / 64);
  for (index_t k = 0; k <= 20; k += infalign::test::stride<index_t>(10)) {
    std::vector<double> d(20, 0.125);
    for (index_t i = 0; i < k; ++i) d[static_cast<std::size_t>(i)] = -0.125;
    CHECK(p_value(d) == doctest::Approx(of_equal_sizes(20, k)).epsilon(1e-12));
  }
}

TEST_CASE("more than 20: random signs, within their error of the truth, the same for the same seed") {
  for (const index_t n : {21, 63, 64, 200, 1000})
    for (const double share : {0.5, 0.42, 0.35}) {
      if (infalign::test::stride(2) == 2 && n > 63 && share != 0.42) continue;
      const auto k = static_cast<index_t>(share * static_cast<double>(n));
      std::vector<double> d(static_cast<std::size_t>(n), 0.3);
      for (index_t i = 0; i < k; ++i) d[static_cast<std::size_t>(5 * i % n)] = -0.3;
      const auto negative = static_cast<index_t>(std::count(d.begin(), d.end(), -0.3));
      const double exact = of_equal_sizes(n, negative);
      CAPTURE(n);
      CAPTURE(exact);
      const double found = p_value(d);
      CHECK(std::abs(found - exact) <= 4 * std::sqrt(exact * (1 - exact) / 1e5) + 1.01e-5);
      if (n > 63) continue;  // of the seed, which a choice of signs takes in the same way
      CHECK(found == p_value(d, 0));
      if (exact > 0.001 && exact < 0.999) CHECK(found != p_value(d, 1));
    }
}

TEST_CASE("never 0, and differences of 0 do not matter") {
  CHECK(p_value(std::vector<double>(400, 0.2)) == 1e-5);
  CHECK(p_value(std::vector<double>(50, 0.0)) == 1);
  std::vector<double> d(500, 0.0);
  for (std::size_t i = 0; i < 6; ++i) d[80 * i] = 1;
  CHECK(p_value(d) == 2.0 / 64);
  CHECK(p_value({1e308, 1e308, 1e308}) == 0.25);
  CHECK(p_value({1e-320, 1e-320, 1e-320}) == 0.25);
}

TEST_CASE("so many that signs are not drawn: Student's t") {
  std::vector<double> d(20'000);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = i % 2 == 0 ? 1.02 : -0.98;
  // Mean 0.02, standard deviation 1: t = 2.83.
  CHECK(p_value(d) == doctest::Approx(std::erfc(0.02 * std::sqrt(20'000.0) / std::sqrt(2.0))).epsilon(1e-3));
  const double smallest = p_value(std::vector<double>(20'000, 1.0));  // Student's tail is 0 in doubles
  CHECK(smallest > 0);
  CHECK(smallest < 1e-300);
}

TEST_CASE("bad differences are errors") {
  CHECK(infalign::test::message_of<infalign::shape_error>([] { (void)p_value({}); }) ==
        "sign_flip_p_value: differences is empty");
  CHECK(infalign::test::message_of<infalign::domain_error>([] {
          (void)p_value({0.5, std::numeric_limits<double>::quiet_NaN()});
        }) == "sign_flip_p_value: differences[1] is nan, must be finite");
}
