// SPDX-License-Identifier: Apache-2.0
// Another project that already runs on Thrust's device system hands it to the library.
#include <cstdio>
#include <infalign/backend/thrust.hpp>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  const std::vector<float> base{0, 1, 2, 3}, rewards{2, 9};
  std::vector<float> u(2);
  infalign::simd on{infalign::thrust_executor(thrust::device)};
  infalign::calibrate(on, infalign::rows<const float>(base.data(), 1, 4), infalign::rows<const float>(rewards.data(), 1, 2),
                      infalign::rows<float>(u.data(), 1, 2));
  std::printf("calibrated: %g %g\n", u[0], u[1]);
  return u[0] == 0.625f && u[1] == 1 ? 0 : 1;
}
