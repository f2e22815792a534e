// SPDX-License-Identifier: Apache-2.0
// A backend whose team is empty: it is told of everything that is missing.
// expects: infalign: a team must have loop<T, U>(n, f)
// expects: infalign: a team must have sum_items(n, f)
// expects: infalign: a team must have chunk<T>()
// expects: infalign: a team must have vec<T>
#include "backend/archetype.hpp"

struct empty {};

struct my_backend : infalign::test::archetype {
#ifdef INFALIGN_MUST_FAIL
  using team_type = empty;
#endif
};

static_assert(infalign::assert_backend<my_backend>());
