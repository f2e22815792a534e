// SPDX-License-Identifier: Apache-2.0
// Off-policy evaluation: what the optimal policy for a transform and a KL weight will be worth, from base samples alone.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <random>
#include <vector>

int main() {
  constexpr infalign::index_t prompts = 20, samples = 64;
  std::mt19937 generator(1);
  std::vector<double> base(prompts * samples);
  for (double& r : base) r = static_cast<double>(generator());  // continuous rewards on any scale

  // Φ = log u with β = 1/3 leads to exactly the best-of-4 policy, of density 4u³.
  infalign::simd on;
  const auto expected =
      infalign::evaluate_off_policy(on, infalign::rows<const double>(base.data(), prompts, samples), infalign::logarithm(),
                                    infalign::kl_weight(1.0 / 3), infalign::standard(), infalign::standard());
  const double kl = expected.kl.corrected.value, win_rate = expected.standard_win_rate.corrected.value;
  std::printf("predicted KL %.4f, standard win rate %.4f; exactly log 4 - 3/4 and 4/5\n", kl, win_rate);
  return std::abs(kl - (std::log(4.0) - 0.75)) < 1e-3 && std::abs(win_rate - 0.8) < 1e-3 && expected.reliable() ? 0 : 1;
}
