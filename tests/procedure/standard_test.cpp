// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/standard.hpp"

#include <doctest/doctest.h>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/worst_of.hpp"

TEST_CASE("standard sampling is the best of one and the worst of one") {
  const infalign::standard standard;
  for (infalign::index_t c = 0; c <= 7; ++c) {
    CHECK(standard.from_count(c, 7) == static_cast<double>(c) / 7);
    CHECK(standard.from_count(c, 7) == infalign::best_of(1).from_count(c, 7));
    CHECK(std::abs(standard.from_count(c, 7) - infalign::worst_of(1).from_count(c, 7)) <= 1e-15);
  }
  CHECK(standard.distortion(0.3) == 0.3);
  CHECK(standard.density(0.3) == 1);
  CHECK(standard.name() == "standard");
}
