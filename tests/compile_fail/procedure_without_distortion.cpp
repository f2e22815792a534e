// SPDX-License-Identifier: Apache-2.0
// A procedure of a user that lacks the required member is told which.
// expects: a procedure needs a const distortion(q) that returns a number
#include <infalign/infalign.hpp>

struct my_procedure {
#ifdef INFALIGN_MUST_FAIL
  double density(double q) const { return 2 * q; }
#else
  double distortion(double q) const { return q * q; }
#endif
};

void win_rate(infalign::rows<const float> y, infalign::rows<const float> z, infalign::span<double> out) {
  infalign::simd on;
  infalign::procedure_win_rate(on, y, z, my_procedure{}, infalign::standard{}, out);
}
