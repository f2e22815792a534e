// SPDX-License-Identifier: Apache-2.0
#include "backend/archetype.hpp"

#include <doctest/doctest.h>

#include "infalign/backend/scalar.hpp"
#include "infalign/backend/simd.hpp"

using infalign::test::archetype;
using infalign::test::archetype_position;

namespace {

template <class Team>
struct with_team : archetype {
  using team_type = Team;
};
struct empty_team {};

/// A team whose loops have positions of these types.
template <template <class> class... At>
struct team_at : infalign::test::archetype_team {
  template <class T>
  using positions = infalign::position_types<At<T>...>;
};
template <class T>
struct position_without_store : archetype_position<T> {
  void store() const = delete;
};

}  // namespace

TEST_CASE("what the concept does not allow") {
  static_assert(infalign::backend<infalign::simd> && infalign::backend<infalign::scalar&>);
  static_assert(!infalign::backend<const infalign::simd>);  // a call changes its scratch memory
  static_assert(!infalign::backend<int>);
  static_assert(infalign::assert_backend<infalign::simd>() && infalign::assert_backend<infalign::scalar>());
  struct without_sort : archetype {
    void sort() = delete;
  };
  static_assert(!infalign::backend<without_sort>);
  static_assert(!infalign::backend<with_team<empty_team>>);
  static_assert(infalign::backend<with_team<infalign::test::archetype_team>>);
  static_assert(!infalign::backend<with_team<team_at<>>>);
  static_assert(infalign::backend<with_team<team_at<archetype_position>>>);
  static_assert(!infalign::backend<with_team<team_at<archetype_position, position_without_store>>>);
}
