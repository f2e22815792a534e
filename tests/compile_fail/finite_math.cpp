// SPDX-License-Identifier: Apache-2.0
// Without NaN and infinity, checks of values would silently find nothing.
// flags: -ffinite-math-only
// expects: infalign needs NaN, infinity and the order of sums as written
#include <infalign/core/views.hpp>
