// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/calibrator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "calibration/brute_force.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using namespace infalign::test;

TEST_CASE_TEMPLATE("a fitted calibrator gives calibrate's values to the bit", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on;
  const auto sizes = std::vector<index_t>{1, 7, 40, 3};
  const auto offsets = offsets_of(sizes), value_offsets = offsets_of({30, 30, 30, 30});
  const auto z = tied_values<T>(51, 1, 12);
  auto y = tied_values<T>(120, 2, 14);
  for (std::size_t i = 0; i < y.size(); i += 3) y[i] -= T(0.5);
  std::vector<T> u(y.size());
  infalign::calibrate(on, infalign::ragged<const T>(z, offsets), infalign::ragged<const T>(y, value_offsets),
                      infalign::ragged<T>(u, value_offsets));
  const infalign::calibrator fitted(on, infalign::ragged<const T>(z, offsets));
  CHECK(fitted.size() == 4);
  const auto ref = fitted.ref();
  static_assert(std::is_trivially_copyable_v<decltype(fitted.ref())>);
  for (index_t p = 0; p < 4; ++p) {
    CHECK(fitted[p].references() == sizes[static_cast<std::size_t>(p)]);
    for (std::size_t j = 0; j < 30; ++j) {
      const std::size_t i = static_cast<std::size_t>(p) * 30 + j;
      CHECK(fitted[p].cdf(y[i]) == u[i]);
      CHECK(ref[p].cdf(y[i]) == u[i]);
    }
    using batch = xsimd::batch<T>;
    T lanes[batch::size];
    fitted[p].cdf(batch::load_unaligned(y.data() + p * 30)).store_unaligned(lanes);
    for (std::size_t j = 0; j < batch::size; ++j) CHECK(lanes[j] == u[static_cast<std::size_t>(p) * 30 + j]);
    const auto levels = unit_values<T>(batch::size, static_cast<std::uint64_t>(p));
    fitted[p].quantile(batch::load_unaligned(levels.data())).store_unaligned(lanes);
    for (std::size_t j = 0; j < batch::size; ++j) CHECK(lanes[j] == fitted[p].quantile(levels[j]));
  }
}

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

TEST_CASE_TEMPLATE("a calibrator copies what it needs, without the padding of rows", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on;
  std::vector<T> z{3, 1, 99, 2, 2, 99};
  const infalign::calibrator fitted(on, infalign::rows<const T>(z.data(), 2, 2, 3));
  z.assign(6, T(-5));
  CHECK(fitted[0].cdf(T(2)) == 0.5);
  CHECK(fitted[1].cdf(T(2)) == 0.5);
  CHECK(fitted[0].quantile(0.5) == 1);
  CHECK(fitted[0].quantile(1.0) == 3);
  CHECK(infalign::calibrator(on, infalign::rows<const T>()).size() == 0);
}

TEST_CASE("a calibrator needs finite references for every prompt") {
  infalign::simd on;
  const std::vector<double> z{1, 2, NAN};
  const std::vector<index_t> one_empty{0, 3, 3};
  CHECK(message_of<infalign::domain_error>([&] {
          (void)infalign::calibrator(on, infalign::rows<const double>(z.data(), 1, 3));
        }).starts_with("calibrator: references[0][2] is "));
  CHECK(message_of<infalign::shape_error>([&] {
          (void)infalign::calibrator(on, infalign::ragged<const double>(z, one_empty));
        }).starts_with("calibrator: references[1] has 0"));
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
  const infalign::calibrator<T> fitted(z, offsets);  // takes copies over
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
  const infalign::calibrator<double> fitted({3, 1, 2, 5}, {0, 3, 4});
  CHECK(fitted[0].quantile(0.0) == 1);
  const auto ties = infalign::tie_rule::mid_rank();
  CHECK(message_of<infalign::domain_error>([&] { (void)fitted[0].calibrated(std::nan(""), ties); }) ==
        "prompt_cdf::calibrated: x is nan, must be finite");
  CHECK(message_of<infalign::domain_error>([&] { (void)fitted[0].calibrated_leave_one_out(1.5, ties); }) ==
        "prompt_cdf::calibrated_leave_one_out: x is 1.5, which is none of the references");
  CHECK(message_of<infalign::domain_error>([&] { (void)fitted[1].calibrated_leave_one_out(5, ties); }) ==
        "prompt_cdf::calibrated_leave_one_out: there is 1 reference, leaving one out needs at least two");
  using doubles = std::vector<double>;
  using offsets = std::vector<index_t>;
  CHECK_THROWS_AS((infalign::calibrator<double>(doubles{1, 2}, offsets{0, 3})), infalign::shape_error);
  CHECK_THROWS_AS((infalign::calibrator<double>(doubles{1, 2}, offsets{0, 0, 2})), infalign::shape_error);
  CHECK_THROWS_AS((infalign::calibrator<double>(doubles{1, std::nan("")}, offsets{0, 2})), infalign::domain_error);
}
