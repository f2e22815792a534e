// SPDX-License-Identifier: Apache-2.0
// A read-only view does not compile as an output.
// expects: writable_groups
#include <infalign/infalign.hpp>

#ifdef INFALIGN_MUST_FAIL
using output = const float;
#else
using output = float;
#endif

void calibrate(infalign::rows<const float> z, infalign::rows<const float> y, infalign::rows<output> u) {
  infalign::simd on;
  infalign::calibrate(on, z, y, u);
}
