// SPDX-License-Identifier: Apache-2.0
// The line of shaped_reward.hpp in a loop of your own over xsimd registers.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <random>
#include <vector>

#include "shaped_reward.hpp"

int main() {
  constexpr infalign::index_t prompts = 3, references = 100, rollouts = 64;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> base(prompts * references), rewards(prompts * rollouts), tokens(rewards.size()), shaped(rewards.size());
  for (float& r : base) r = normal(generator);
  for (float& r : rewards) r = normal(generator);
  for (float& t : tokens) t = 100 + 10 * normal(generator);

  infalign::simd on;
  const infalign::calibrator fitted(on, infalign::rows<const float>(base.data(), prompts, references));
  const infalign::exponential transform(-5);
  using batch = xsimd::batch<float>;
  static_assert(rollouts % batch::size == 0);
  for (infalign::index_t p = 0; p < prompts; ++p)
    for (infalign::index_t i = p * rollouts; i < (p + 1) * rollouts; i += batch::size)
      shaped_reward(fitted.ref(), p, transform, batch::load_unaligned(&rewards[i]), batch::load_unaligned(&tokens[i]))
          .store_unaligned(&shaped[i]);

  // The same line for single values.
  double largest_difference = 0;
  for (infalign::index_t i = 0; i < prompts * rollouts; ++i)
    largest_difference = std::fmax(
        largest_difference, std::abs(shaped[i] - shaped_reward(fitted.ref(), i / rollouts, transform, rewards[i], tokens[i])));
  std::printf("first shaped reward %.6f; registers and single values differ by %.1e at most\n", shaped[0], largest_difference);
  return largest_difference < 1e-6 ? 0 : 1;
}
