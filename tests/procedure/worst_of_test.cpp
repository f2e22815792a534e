// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/worst_of.hpp"

#include <doctest/doctest.h>

#include "infalign/procedure/best_of.hpp"
#include "support/samples.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::worst_of;

TEST_CASE("worst_of is the mirror of best_of") {
  for (const index_t n : {1, 2, 5, 16}) {
    const best_of best(n);
    const worst_of worst(n);
    for (int i = 0; i <= 64; ++i) {
      const double q = i / 64.0;  // 1 - q is exact
      CHECK(std::abs(worst.distortion(q) - (1 - best.distortion(1 - q))) <= 1e-15);
      CHECK(worst.density(q) == doctest::Approx(best.density(1 - q)).epsilon(1e-14));
    }
    for (index_t c = 0; c <= 40; ++c) CHECK(worst.from_count(c, 40) == 1 - best.from_count(40 - c, 40));
  }
}

TEST_CASE("worst_of keeps the digits of small quantiles") {
  CHECK(worst_of(4).distortion(1e-18) == doctest::Approx(4e-18).epsilon(1e-14));
  CHECK(worst_of(4).samples_needed() == 4);
  CHECK(worst_of(4).name() == "worst_of:4");
  CHECK(worst_of(4).steepest_fall() == 12);  // g(q) = 4(1-q)³ falls by 12 at q = 0
}

TEST_CASE("the worst of no samples is an error") {
  CHECK(infalign::test::message_of<infalign::domain_error>([] { (void)worst_of(0); }) ==
        "worst_of: N is 0, must be at least 1");
}
