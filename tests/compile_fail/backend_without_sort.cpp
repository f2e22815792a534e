// SPDX-License-Identifier: Apache-2.0
// Asked in one line, a backend without `sort` hears so in one line.
// expects: infalign: a backend must have sort(groups, out)
#include "backend/archetype.hpp"

struct my_backend : infalign::test::archetype {
#ifdef INFALIGN_MUST_FAIL
  void sort() = delete;
#endif
};

static_assert(infalign::assert_backend<my_backend>());
