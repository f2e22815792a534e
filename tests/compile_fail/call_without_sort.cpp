// SPDX-License-Identifier: Apache-2.0
// An algorithm refuses what is no backend, and the message has the name of the piece that is missing.
// expects: has_sort
#include "backend/archetype.hpp"
#include "infalign/algorithms.hpp"

struct my_backend : infalign::test::archetype {
#ifdef INFALIGN_MUST_FAIL
  void sort() = delete;
#endif
};

void calibrate(infalign::rows<const float> z, infalign::rows<const float> y, infalign::rows<float> u) {
  my_backend on;
  infalign::calibrate(on, z, y, u);
}
