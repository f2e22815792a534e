// SPDX-License-Identifier: Apache-2.0
#include "backend/archetype.hpp"

#include <doctest/doctest.h>

#include "infalign/backend/scalar.hpp"
#include "infalign/backend/simd.hpp"

using infalign::test::archetype;

TEST_CASE("what the concept does not allow") {
  static_assert(infalign::backend<infalign::simd> && infalign::backend<infalign::scalar&>);
  static_assert(!infalign::backend<const infalign::simd>);  // a call changes its scratch memory
  static_assert(!infalign::backend<int>);
  struct without_sort : archetype {
    void sort() = delete;
  };
  static_assert(!infalign::backend<without_sort>);
}
