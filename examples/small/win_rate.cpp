// SPDX-License-Identifier: Apache-2.0
// The win rate under an inference-time procedure, from samples of both policies, with its standard error.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <random>
#include <vector>

int main() {
  constexpr infalign::index_t prompts = 2000, samples = 16;
  std::mt19937 generator(1);
  const auto uniform = [&] { return static_cast<float>(generator()) * 0x1p-32f; };
  // The base policy's rewards are uniform on [0, 1]; the policy's have the CDF u² (the larger of two uniform draws).
  std::vector<float> base(prompts * samples), policy(prompts * samples);
  for (float& r : base) r = uniform();
  for (float& r : policy) r = std::sqrt(uniform());

  infalign::simd on;
  std::vector<double> wins(prompts);
  infalign::procedure_win_rate(on, infalign::rows<const float>(policy.data(), prompts, samples),
                               infalign::rows<const float>(base.data(), prompts, samples), infalign::best_of(4), wins);
  const infalign::estimate mean = infalign::summarize(on, wins);

  // Best of 4 serves the CDF u⁸ against u⁴: the policy wins 1 - ∫ u⁸·4u³ du = 2/3.
  std::printf("best-of-4 win rate %.4f ± %.4f, exactly 2/3\n", mean.value, mean.standard_error);
  return std::abs(mean.value - 2.0 / 3) < 4 * mean.standard_error && mean.standard_error < 0.01 ? 0 : 1;
}
