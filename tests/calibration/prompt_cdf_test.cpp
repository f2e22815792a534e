// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/calibrator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <infalign/infalign.hpp>
#include <limits>

#include "support/samples.hpp"

using infalign::index_t;
using namespace infalign::test;

TEST_CASE_TEMPLATE("quantile is the left-continuous inverse of the empirical CDF", T, float, double) {
  infalign::scalar on;
  for (const index_t k : {1, 2, 7, 49, 1000}) {
    auto z = tied_values<T>(k, static_cast<std::uint64_t>(k), 20);
    const infalign::calibrator fitted(on, infalign::rows<const T>(z.data(), 1, k));
    const auto cdf = fitted[0];
    std::sort(z.begin(), z.end());
    for (index_t i = 1; i <= k; ++i) {
      const auto level = static_cast<T>(static_cast<double>(i) / static_cast<double>(k));
      CHECK(cdf.quantile(level) == z[static_cast<std::size_t>(i - 1)]);
    }
    for (const T u : {T(0.1), T(0.37), T(0.5), T(0.99)}) {
      const auto smallest = std::find_if(z.begin(), z.end(), [&](T x) {
        const auto at_or_below = std::count_if(z.begin(), z.end(), [x](T v) { return v <= x; });
        return static_cast<T>(static_cast<double>(at_or_below) / static_cast<double>(k)) >= u;
      });
      CHECK(cdf.quantile(u) == *smallest);
    }
    CHECK(cdf.quantile(T(0)) == z.front());
    CHECK(cdf.quantile(T(-1)) == z.front());
    CHECK(cdf.quantile(T(2)) == z.back());
    CHECK(std::isnan(cdf.quantile(std::numeric_limits<T>::quiet_NaN())));
    CHECK(std::isnan(cdf.cdf(std::numeric_limits<T>::quiet_NaN())));
    CHECK(cdf.cdf(infalign::infinity<T>) == 1);
    CHECK(cdf.cdf(-infalign::infinity<T>) == 0);
  }
}

TEST_CASE_TEMPLATE("the lanes of a register are answered as single values are", T, float, double) {
  using batch = xsimd::batch<T>;
  constexpr auto width = static_cast<index_t>(batch::size);
  infalign::simd on;
  const auto z = tied_values<T>(51, 1, 12), y = tied_values<T>(width, 2, 14);
  const auto levels = unit_values<T>(width, 3);
  const infalign::calibrator fitted(on, infalign::rows<const T>(z.data(), 1, 51));
  T u[batch::size], quantiles[batch::size];
  fitted[0].cdf(batch::load_unaligned(y.data())).store_unaligned(u);
  fitted[0].quantile(batch::load_unaligned(levels.data())).store_unaligned(quantiles);
  for (std::size_t j = 0; j < batch::size; ++j) {
    CHECK(u[j] == fitted[0].cdf(y[j]));
    CHECK(quantiles[j] == fitted[0].quantile(levels[j]));
  }
}
