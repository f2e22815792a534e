// SPDX-License-Identifier: Apache-2.0
#include "infalign/statistics/estimate.hpp"

#include <doctest/doctest.h>

#include "support/samples.hpp"

TEST_CASE("the interval of an estimate is normal") {
  const infalign::estimate e{0.5, 0.01, 400};
  // Tabulated quantiles of the standard normal distribution.
  const auto check = [&](double level, double z) {
    const auto interval = e.interval(level);
    CHECK(interval.low == doctest::Approx(0.5 - z * 0.01).epsilon(1e-14));
    CHECK(interval.high == doctest::Approx(0.5 + z * 0.01).epsilon(1e-14));
  };
  check(0.95, 1.959963984540054);
  check(0.99, 2.575829303548901);
  check(0.6826894921370859, 1.0);
  CHECK(e.interval().low == e.interval(0.95).low);
}

TEST_CASE("a level outside (0, 1) is an error") {
  const infalign::estimate e{0.5, 0.01, 400};
  CHECK(infalign::test::message_of<infalign::domain_error>([&] { (void)e.interval(1.5); }) ==
        "estimate::interval: level is 1.5, must be in (0, 1)");
  CHECK_THROWS_AS((void)e.interval(0), infalign::domain_error);
  CHECK_THROWS_AS((void)e.interval(1), infalign::domain_error);
}
