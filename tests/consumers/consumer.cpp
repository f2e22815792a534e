// SPDX-License-Identifier: Apache-2.0
// What another project does with the library: calibrate, transform, measure, on both backends.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

template <class Backend>
double best_of_two(Backend&& on) {
  const std::vector<float> base{0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<float> policy{3, 5, 7, 8};
  std::vector<float> phi(4);
  const infalign::rows<const float> z(base.data(), 1, 8), y(policy.data(), 1, 4);
  infalign::calibrate_transform(on, z, y, infalign::exponential(1), infalign::rows<float>(phi.data(), 1, 4));
  if (std::fabs(phi[3] - std::exp(1.0f)) > 1e-6f) return -1;
  std::vector<double> wins(1);
  infalign::procedure_win_rate(on, y, z, infalign::best_of(2), wins);
  return wins[0];
}

int main() {
  const double simd = best_of_two(infalign::simd{});
  const double scalar = best_of_two(infalign::scalar{});
  std::printf("infalign %d.%d.%d: best-of-2 win rate %.6f\n", INFALIGN_VERSION_MAJOR, INFALIGN_VERSION_MINOR,
              INFALIGN_VERSION_PATCH, simd);
  return simd > 0.5 && std::fabs(simd - scalar) < 1e-12 ? 0 : 1;
}
