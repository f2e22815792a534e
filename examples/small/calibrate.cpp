// SPDX-License-Identifier: Apache-2.0
// Calibration: the quantile of a reward among rewards of the base policy for the same prompt; a tie counts ½.
#include <cstdio>
#include <infalign/infalign.hpp>
#include <numeric>
#include <vector>

int main() {
  constexpr infalign::index_t prompts = 2, references = 100, rollouts = 4;
  std::vector<float> base(prompts * references);
  std::iota(base.begin(), base.begin() + references, 0.0f);   // prompt 0: the base policy's rewards are 0 … 99
  std::iota(base.begin() + references, base.end(), 1000.0f);  // prompt 1: 1000 … 1099, another scale
  const std::vector<float> rewards{-1, 24.5f, 50, 200, 999, 1024.5f, 1050, 2000};
  std::vector<float> calibrated(rewards.size());

  infalign::simd on;
  infalign::calibrate(on, infalign::rows<const float>(base.data(), prompts, references),
                      infalign::rows<const float>(rewards.data(), prompts, rollouts),
                      infalign::rows<float>(calibrated.data(), prompts, rollouts));

  std::printf("calibrated rewards %.3f %.3f %.3f %.3f\n", calibrated[0], calibrated[1], calibrated[2], calibrated[3]);
  // 25 references lie below 24.5; 50 lie below 50 and one equals it. The scale of the rewards does not matter.
  return calibrated == std::vector<float>{0, 0.25f, 0.505f, 1, 0, 0.25f, 0.505f, 1} ? 0 : 1;
}
