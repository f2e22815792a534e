// SPDX-License-Identifier: Apache-2.0
// An inference-time procedure of your own: its distortion G is enough, the CDF of what is served in terms of the policy's.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/theory/tilted_density.hpp>
#include <string>
#include <vector>

/// Draws three samples and serves the middle one: at least two of three lie at or below it.
struct median_of_three {
  [[nodiscard]] INFALIGN_HD double distortion(double q) const { return q * q * (3 - 2 * q); }
  [[nodiscard]] std::string name() const { return "median_of_three"; }
};
static_assert(infalign::inference_procedure<median_of_three>);

int main() {
  // Estimated from samples: the policy's four rewards against single samples of the base.
  const std::vector<double> policy{1, 2, 3, 4}, base{2.5};
  std::vector<double> wins(1);
  infalign::simd on;
  infalign::procedure_win_rate(on, infalign::rows<const double>(policy.data(), 1, 4),
                               infalign::rows<const double>(base.data(), 1, 1), median_of_three{}, infalign::standard{}, wins);

  // In theory: log u with β = 1 has the CDF u², so that the median wins 1 - ∫ G(u²) du = 1 - (3/5 - 2/7) = 24/35.
  const infalign::tilted_density tilted(infalign::logarithm{}, infalign::kl_weight(1));
  const double win_rate = tilted.win_rate(median_of_three{}, infalign::standard{});
  std::printf("win rate from samples %.4f, in theory %.6f\n", wins[0], win_rate);
  return wins[0] == 0.5 && std::abs(win_rate - 24.0 / 35) < 1e-12 ? 0 : 1;  // half of the samples lie below 2.5: 1 - G(½)
}
