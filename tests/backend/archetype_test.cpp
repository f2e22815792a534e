// SPDX-License-Identifier: Apache-2.0
#include "backend/archetype.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/every_algorithm.hpp"

using infalign::test::archetype;
using infalign::test::configuration;
using infalign::test::every_algorithm;

namespace {

/// Equal up to `tolerance`, relative to the largest value of each array; infinities alike.
void check_close(const std::vector<std::vector<double>>& actual, const std::vector<std::vector<double>>& expected,
                 double tolerance) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t a = 0; a < actual.size(); ++a) {
    CAPTURE(a);
    REQUIRE(actual[a].size() == expected[a].size());
    double largest = 0, error = 0;
    bool infinities_agree = true;
    for (std::size_t i = 0; i < actual[a].size(); ++i) {
      if (!std::isfinite(expected[a][i]) || !std::isfinite(actual[a][i])) {
        infinities_agree = infinities_agree && actual[a][i] == expected[a][i];
        continue;
      }
      largest = std::max(largest, std::abs(expected[a][i]));
      error = std::max(error, std::abs(actual[a][i] - expected[a][i]));
    }
    CHECK(infinities_agree);
    CHECK(error <= tolerance * largest);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("the smallest backend that the concept allows runs every algorithm", T, float, double) {
  every_algorithm<configuration<T, infalign::scalar>> expected;
  every_algorithm<configuration<T, archetype>> actual;
  infalign::scalar by_scalar;
  archetype by_archetype;
  expected.run(by_scalar);
  actual.run(by_archetype);
  check_close(actual.results(), expected.results(), 100 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  check_close(actual.narrow_results(), expected.narrow_results(), 0x1p-8);  // a unit of the last place of bfloat16
}

TEST_CASE("what the concept does not allow") {
  static_assert(infalign::backend<infalign::simd> && infalign::backend<infalign::scalar&>);
  static_assert(!infalign::backend<const infalign::simd>);  // a call changes its scratch memory
  static_assert(!infalign::backend<int>);
  struct without_sort : archetype {
    void sort() = delete;
  };
  static_assert(!infalign::backend<without_sort>);
}
