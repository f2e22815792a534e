// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/calibrator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <infalign/infalign.hpp>
#include <limits>
#include <vector>

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

TEST_CASE_TEMPLATE("single rewards by any tie rule equal calibrate's and calibrate_leave_one_out's to the bit", T, float,
                   double) {
  infalign::scalar on;
  const auto sizes = std::vector<index_t>{2, 7, 300, 3};  // more than are compared one by one, too
  const auto offsets = offsets_of(sizes);
  const auto z = tied_values<T>(offsets.back(), 5, 9);
  auto y = z;
  for (std::size_t i = 0; i < y.size(); i += 3) y[i] -= T(0.5);
  const infalign::ragged<const T> references(z, offsets), rewards(y, offsets);
  const infalign::calibrator fitted(on, z, offsets);  // takes copies over
  std::vector<T> u(y.size()), left_out(y.size());
  for (const auto& ties : {infalign::tie_rule::mid_rank(), infalign::tie_rule::below(), infalign::tie_rule::at_or_below(),
                           infalign::tie_rule::randomized(11)}) {
    infalign::calibrate(on, references, rewards, infalign::ragged<T>(u, offsets), {ties});
    infalign::calibrate_leave_one_out(on, references, infalign::ragged<T>(left_out, offsets), {ties});
    for (index_t p = 0; p < 4; ++p)
      for (index_t i = offsets[static_cast<std::size_t>(p)]; i < offsets[static_cast<std::size_t>(p) + 1]; ++i) {
        const auto at = static_cast<std::size_t>(i);
        CHECK(static_cast<T>(fitted[p].calibrated(y[at], ties, i)) == u[at]);
        CHECK(static_cast<T>(fitted[p].calibrated_leave_one_out(z[at], ties, i)) == left_out[at]);
      }
  }
}

TEST_CASE("single rewards that cannot be ranked are errors, and so are references that cannot be taken over") {
  using doubles = std::vector<double>;
  using offsets = std::vector<index_t>;
  infalign::scalar on;
  const infalign::calibrator fitted(on, doubles{3, 1, 2, 5}, offsets{0, 3, 4});
  CHECK(fitted[0].quantile(0.0) == 1);
  const auto ties = infalign::tie_rule::mid_rank();
  CHECK(message_of<infalign::domain_error>([&] { (void)fitted[0].calibrated(std::nan(""), ties); }) ==
        "prompt_cdf::calibrated: x is nan, must be finite");
  CHECK(message_of<infalign::domain_error>([&] { (void)fitted[0].calibrated_leave_one_out(1.5, ties); }) ==
        "prompt_cdf::calibrated_leave_one_out: x is 1.5, which is none of the references");
  CHECK(message_of<infalign::domain_error>([&] { (void)fitted[1].calibrated_leave_one_out(5, ties); }) ==
        "prompt_cdf::calibrated_leave_one_out: there is 1 reference, leaving one out needs at least two");
  CHECK_THROWS_AS((infalign::calibrator(on, doubles{1, 2}, offsets{0, 3})), infalign::shape_error);
  CHECK_THROWS_AS((infalign::calibrator(on, doubles{1, 2}, offsets{0, 0, 2})), infalign::shape_error);
  CHECK_THROWS_AS((infalign::calibrator(on, doubles{1, std::nan("")}, offsets{0, 2})), infalign::domain_error);
}
