// SPDX-License-Identifier: Apache-2.0
// A backend whose team has no `loop`.
// expects: infalign: a team must have loop<T, U>(n, f)
#include "backend/archetype.hpp"

struct my_team : infalign::test::archetype_team {
#ifdef INFALIGN_MUST_FAIL
  void loop() = delete;
#endif
};

struct my_backend : infalign::test::archetype {
  using team_type = my_team;
};

static_assert(infalign::assert_backend<my_backend>());
