// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/best_of.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "support/samples.hpp"

using infalign::best_of;

TEST_CASE("best_of is q^N") {
  CHECK(best_of(1).distortion(0.3) == 0.3);
  CHECK(best_of(4).distortion(0.5) == 0.0625);
  CHECK(best_of(1'000'000).distortion(0.999'999) == doctest::Approx(std::exp(1e6 * std::log1p(-1e-6))).epsilon(1e-9));
  CHECK(best_of(4).samples_needed() == 4);
  CHECK(best_of(4).name() == "best_of:4");
}

TEST_CASE("the best of no samples is an error") {
  using infalign::domain_error;
  CHECK(infalign::test::message_of<domain_error>([] { (void)best_of(0); }) == "best_of: N is 0, must be at least 1");
  CHECK(infalign::test::message_of<domain_error>([] { (void)best_of(-3); }) == "best_of: N is -3, must be at least 1");
}
