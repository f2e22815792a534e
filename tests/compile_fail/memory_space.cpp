// SPDX-License-Identifier: Apache-2.0
// A view of memory that the backend cannot reach does not compile.
// expects: reachable_from
#include <infalign/infalign.hpp>

struct other_memory {};
#ifdef INFALIGN_MUST_FAIL
using space = other_memory;
#else
using space = infalign::host_memory;
#endif

void calibrate(infalign::rows<const float, space> z, infalign::rows<const float, space> y, infalign::rows<float, space> u) {
  infalign::simd on;
  infalign::calibrate(on, z, y, u);
}
