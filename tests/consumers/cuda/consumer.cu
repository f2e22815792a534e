// SPDX-License-Identifier: Apache-2.0
// Another project calibrates on its own stream.
#include <cstdio>
#include <infalign/infalign.cuh>
#include <vector>

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: no CUDA device");
    return 0;
  }
  infalign::device_array<float> base(std::vector<float>{0, 1, 2, 3}), rewards(std::vector<float>{2, 9}), u(2);
  infalign::cuda on;
  infalign::calibrate(on, base.rows(1, 4), rewards.rows(1, 2), u.rows(1, 2));
  const auto result = u.host();
  std::printf("calibrated: %g %g\n", result[0], result[1]);
  return result[0] == 0.625f && result[1] == 1 ? 0 : 1;
}
