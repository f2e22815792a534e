// SPDX-License-Identifier: Apache-2.0
// The gradient of a win rate is refused where its estimate would be biased.
// expects: the gradient is unbiased only for a procedure with from_count, which best_of_poisson has not
#include <infalign/infalign.hpp>

#ifdef INFALIGN_MUST_FAIL
using served = infalign::best_of_poisson;
#else
using served = infalign::best_of;
#endif

void advantages(infalign::rows<const float> y, infalign::rows<const float> z, infalign::rows<float> out) {
  infalign::simd on;
  infalign::win_rate_advantage(on, y, z, served(4), infalign::standard{}, out);
}
