// SPDX-License-Identifier: Apache-2.0
// Another project's matrices, as views.
#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/interop/eigen.hpp>

int main() {
  const Eigen::RowVector4f base(0, 1, 2, 3);
  const Eigen::RowVector2f rewards(2, 9);
  Eigen::RowVector2f u;
  infalign::simd on;
  infalign::calibrate(on, infalign::as_rows(base), infalign::as_rows(rewards), infalign::as_rows(u));
  std::printf("calibrated: %g %g\n", static_cast<double>(u[0]), static_cast<double>(u[1]));
  return u[0] == 0.625f && u[1] == 1 ? 0 : 1;
}
