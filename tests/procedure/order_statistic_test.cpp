// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/order_statistic.hpp"

#include <doctest/doctest.h>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/samples.hpp"

using infalign::domain_error;
using infalign::order_statistic;
using infalign::test::message_of;

TEST_CASE("order_statistic has best-of-N and worst-of-N at its ends") {
  for (const double q : {0.0, 0.1, 0.5, 0.93, 1.0}) {
    CHECK(order_statistic(7, 7).distortion(q) == doctest::Approx(infalign::best_of(7).distortion(q)).epsilon(1e-14));
    CHECK(order_statistic(1, 7).distortion(q) == doctest::Approx(infalign::worst_of(7).distortion(q)).epsilon(1e-14));
  }
  // The median of three: 3q² - 2q³.
  CHECK(order_statistic(2, 3).distortion(0.3) == doctest::Approx(0.216).epsilon(1e-14));
  CHECK(order_statistic(500'001, 1'000'001).distortion(0.5) == doctest::Approx(0.5).epsilon(1e-9));
  CHECK(order_statistic(2, 3).name() == "order_statistic:2:3");
  CHECK(order_statistic(2, 3).samples_needed() == 3);
}

TEST_CASE("ranks outside 1 … N are errors") {
  CHECK(message_of<domain_error>([] { (void)order_statistic(0, 3); }) == "order_statistic: rank is 0, must be in 1 … 3");
  CHECK(message_of<domain_error>([] { (void)order_statistic(4, 3); }) == "order_statistic: rank is 4, must be in 1 … 3");
  CHECK(message_of<domain_error>([] { (void)order_statistic(1, 0); }) == "order_statistic: N is 0, must be in 1 … 2^40");
  CHECK(message_of<domain_error>([] { (void)order_statistic(1, (infalign::index_t{1} << 40) + 1); }) ==
        "order_statistic: N is 1099511627777, must be in 1 … 2^40");
}
