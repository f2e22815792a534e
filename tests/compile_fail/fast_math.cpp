// SPDX-License-Identifier: Apache-2.0
// All of the unsafe options at once.
// flags: -ffast-math
// expects: infalign needs NaN, infinity and the order of sums as written
#include <infalign/core/views.hpp>
