// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/uncertainty.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "support/configurations.hpp"
#include "support/samples.hpp"

using namespace infalign;
namespace test = infalign::test;
using infalign::test::message_of;

TEST_CASE("the standard error is half of Wilson's interval") {
  // Its ends solve (u - q)² = q(1 - q)/K, a quadratic equation in q.
  for (const double u : {0.0, 0.02, 0.1, 0.5, 0.75, 1.0})
    for (const index_t references : {1, 2, 7, 100, 5000}) {
      const auto k = static_cast<double>(references);
      const double a = 1 + 1 / k, b = -(2 * u + 1 / k), c = u * u;
      const double width = std::sqrt(b * b - 4 * a * c) / a;
      CHECK(calibration_standard_error(u, references) == doctest::Approx(width / 2).epsilon(1e-12));
    }
  CHECK(calibration_standard_error(0, 25) == doctest::Approx(1.0 / 52).epsilon(1e-15));
  CHECK(calibration_standard_error(0.5, 1'000'000) == doctest::Approx(0.0005).epsilon(1e-6));
  CHECK(message_of<domain_error>([] { (void)calibration_standard_error(1.5, 7); }) ==
        "calibration_standard_error: u is 1.5, must be in [0, 1]");
  CHECK(message_of<domain_error>([] { (void)calibration_standard_error(0.5, 0); }) ==
        "calibration_standard_error: references is 0, must be at least 1");
}

TEST_CASE_TEMPLATE("the standard error of every value takes the references of its prompt", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> u(std::vector<T>{0, 0.5, 1, 0.25, 0.5}), z(9), out(5, T(-9));
  typename C::template array<index_t> u_offsets(std::vector<index_t>{0, 3, 5}), z_offsets(std::vector<index_t>{0, 4, 9});
  calibration_standard_error(on, u.ragged(u_offsets), z.ragged(z_offsets), out.ragged(u_offsets));
  const double expected[] = {0.1, std::sqrt(1.25) / 5, 0.1, std::sqrt(5 * 0.1875 + 0.25) / 6, std::sqrt(1.5) / 6};
  for (std::size_t i = 0; i < 5; ++i) CHECK(static_cast<double>(out.host()[i]) == doctest::Approx(expected[i]).epsilon(1e-6));
}

TEST_CASE("standard error and band hold in simulation") {
  // Calibrate one reward at the true quantile 0.3, and the whole CDF, against 50 uniform references, again and again.
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> uniform;
  const int repetitions = test::draws(20'000), k = 50;
  double sum = 0, squares = 0;
  int outside = 0;
  std::vector<double> z(k);
  for (int r = 0; r < repetitions; ++r) {
    for (double& v : z) v = uniform(generator);
    std::sort(z.begin(), z.end());
    double distance = 0;
    for (int i = 0; i < k; ++i)
      distance =
          std::max({distance, (i + 1.0) / k - z[static_cast<std::size_t>(i)], z[static_cast<std::size_t>(i)] - i * 1.0 / k});
    outside += distance > dkw_band(k, 0.9);
    const double u = static_cast<double>(std::count_if(z.begin(), z.end(), [](double v) { return v < 0.3; })) / k;
    sum += u;
    squares += u * u;
  }
  const double mean = sum / repetitions;
  CHECK(std::abs(mean - 0.3) < 4 * calibration_standard_error(0.3, k) / std::sqrt(repetitions));
  CHECK(std::sqrt(squares / repetitions - mean * mean) ==
        doctest::Approx(calibration_standard_error(0.3, k)).epsilon(4 / std::sqrt(2.0 * repetitions)));
  CHECK(outside < 0.1 * repetitions);                                              // the promise, of which some is left
  CHECK(outside > 0.05 * repetitions - 4 * std::sqrt(0.05 * 0.95 * repetitions));  // and not by being far too wide
}

TEST_CASE("counts of references are the smallest that do") {
  CHECK(dkw_band(100, 0.95) == doctest::Approx(0.13581015).epsilon(1e-6));  // √(log 40 / 200)
  for (const double error : {0.3, 0.05, 0.01, 0.0123}) {
    const index_t band = references_for_band(error, 0.95);
    CHECK(dkw_band(band, 0.95) <= error);
    if (band > 1) CHECK(dkw_band(band - 1, 0.95) > error);
    const index_t single = references_for_standard_error(error);
    CHECK(calibration_standard_error(0.5, single) <= error);
    if (single > 1) CHECK(calibration_standard_error(0.5, single - 1) > error);
  }
  CHECK(references_for_standard_error(0.05) == 99);
  CHECK(message_of<domain_error>([] { (void)references_for_band(0, 0.95); }) ==
        "references_for_band: error is 0, must be in (0, 1]");
  CHECK(message_of<domain_error>([] { (void)references_for_band(0.1, 1); }) ==
        "references_for_band: confidence is 1, must be in (0, 1)");
  CHECK(message_of<domain_error>([] { (void)dkw_band(0, 0.9); }) == "dkw_band: references is 0, must be at least 1");
  CHECK(message_of<domain_error>([] { (void)references_for_standard_error(0.75); }) ==
        "references_for_standard_error: error is 0.75, must be in (0, 0.5]");
}

TEST_CASE("weighted references are worth Kish's count") {
  const std::vector<double> equal(7, 0.3), lone{0, 5, 0}, mixed{1, 2, 3}, huge{1e300, 1e300}, none{0, 0}, bad{1, -1};
  CHECK(effective_references(equal) == doctest::Approx(7).epsilon(1e-15));
  CHECK(effective_references(lone) == 1);
  CHECK(effective_references(mixed) == doctest::Approx(36.0 / 14).epsilon(1e-15));
  CHECK(effective_references(huge) == 2);
  CHECK(message_of<domain_error>([&] { (void)effective_references(none); }) ==
        "effective_references: sum of weights is 0, must be positive");
  CHECK(message_of<domain_error>([&] { (void)effective_references(bad); }) ==
        "effective_references: weights[1] is -1, must be finite and not negative");
}
