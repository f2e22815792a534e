// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/top_of.hpp"

#include <doctest/doctest.h>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "support/samples.hpp"

using infalign::domain_error;
using infalign::order_statistic;
using infalign::top_of;
using infalign::test::message_of;

TEST_CASE("top_of has best-of-N and plain sampling at its ends") {
  for (const double q : {0.0, 0.1, 0.5, 0.93, 1.0}) {
    CHECK(top_of(1, 6).distortion(q) == doctest::Approx(infalign::best_of(6).distortion(q)).epsilon(1e-14));
    CHECK(top_of(6, 6).distortion(q) == doctest::Approx(q).epsilon(1e-14));
    const double ranks = 0.5 * (order_statistic(5, 6).distortion(q) + order_statistic(6, 6).distortion(q));
    CHECK(top_of(2, 6).distortion(q) == doctest::Approx(ranks).epsilon(1e-14));
  }
  CHECK(top_of(2, 6).name() == "top_of:2:6");
  CHECK(top_of(2, 6).samples_needed() == 6);
}

TEST_CASE("more than N of N are an error") {
  CHECK(message_of<domain_error>([] { (void)top_of(0, 3); }) == "top_of: m is 0, must be in 1 … 3");
  CHECK(message_of<domain_error>([] { (void)top_of(4, 3); }) == "top_of: m is 4, must be in 1 … 3");
  CHECK(message_of<domain_error>([] { (void)top_of(1, 0); }) == "top_of: N is 0, must be in 1 … 2^40");
}
