// SPDX-License-Identifier: Apache-2.0
// Transforms: small values that map a calibrated reward u in [0, 1] to the reward Φ(u) that training maximises.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <vector>

int main() {
  constexpr int n = 10000;
  std::vector<double> u(n), phi(n);
  for (int i = 0; i < n; ++i) u[i] = (i + 0.5) / n;

  // e^{10(u-1)}: the exponential for best-of-N, scaled so that its largest value is 1 and KL weights stay comparable.
  const auto transform = infalign::scaled(infalign::exponential(10), std::exp(-10.0));
  infalign::simd on;
  infalign::apply(on, transform, u, phi);

  double mean = 0;
  for (const double value : phi) mean += value / n;
  const double expected = (1 - std::exp(-10.0)) / 10;  // ∫ e^{10(u-1)} du; the midpoint rule is off by 10²/(24·n²) of it
  std::printf("%s: mean under the base policy %.6f\n", transform.name().c_str(), mean);
  return std::abs(mean / expected - 1) < 1e-7 && std::abs(transform(1.0) - 1) < 1e-12 ? 0 : 1;
}
