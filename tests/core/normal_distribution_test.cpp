// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/normal_distribution.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

using infalign::standard_normal_quantile;

TEST_CASE("the normal quantile inverts the normal distribution function in all of its regions") {
  // Beside ½, around the bounds of the three formulas (0.075 and 1.4e-11), and far out.
  for (const double u : {0.5 - 1e-9, 0.4, 0.076, 0.074, 1e-3, 1e-8, 1.5e-11, 1.3e-11, 1e-100, 1e-300}) {
    CAPTURE(u);
    const double x = standard_normal_quantile(u);
    CHECK(0.5 * std::erfc(-x / std::sqrt(2.0)) == doctest::Approx(u).epsilon(1e-12));
    if (u > 1e-10) CHECK(standard_normal_quantile(1 - u) == doctest::Approx(-x).epsilon(1e-5));
  }
  CHECK(standard_normal_quantile(0.975) == doctest::Approx(1.959963984540054).epsilon(1e-15));
}

TEST_CASE("the normal quantile's ends, and what is no probability") {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  CHECK(standard_normal_quantile(0.5) == 0);
  CHECK(standard_normal_quantile(0.0) == -infinite);
  CHECK(standard_normal_quantile(1.0) == infinite);
  CHECK(std::isnan(standard_normal_quantile(std::nan(""))));
}
