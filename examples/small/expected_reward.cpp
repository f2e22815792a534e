// SPDX-License-Identifier: Apache-2.0
// The expected reward of the best of 4 samples, and pass@5, from more samples than that. No policy to compare with is needed.
#include <cmath>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <random>
#include <vector>

int main() {
  constexpr infalign::index_t prompts = 2000, samples = 16;
  std::mt19937 generator(1);
  const auto uniform = [&] { return static_cast<float>(generator()) * 0x1p-32f; };
  std::vector<float> rewards(prompts * samples), passed(prompts * samples);
  for (float& r : rewards) r = uniform();
  for (float& r : passed) r = uniform() < 0.2f ? 1.0f : 0.0f;

  infalign::simd on;
  std::vector<double> best(prompts), pass(prompts);
  infalign::expected_reward(on, infalign::rows<const float>(rewards.data(), prompts, samples), infalign::best_of(4), best);
  infalign::expected_reward(on, infalign::rows<const float>(passed.data(), prompts, samples), infalign::best_of(5), pass);
  const infalign::estimate largest = infalign::summarize(on, best);
  const infalign::estimate rate = infalign::summarize(on, pass, infalign::win_rate_range);

  // The largest of 4 uniform rewards is 4/5 on average; one of 5 samples passes with 1 - 0.8^5. From counts: 1 - C(7,5)/C(10,5).
  const double exact = 1 - std::pow(0.8, 5);
  std::printf("expected best of 4 %.4f ± %.4f, exactly 4/5\n", largest.value, largest.standard_error);
  std::printf("pass@5 %.4f ± %.4f, exactly %.4f; of one prompt, 3 of 10: %.4f\n", rate.value, rate.standard_error, exact,
              infalign::pass_at_k(10, 3, 5));
  const auto near = [](const infalign::estimate& e, double truth) {
    return std::abs(e.value - truth) < 4 * e.standard_error && e.standard_error < 0.01;
  };
  return near(largest, 0.8) && near(rate, exact) ? 0 : 1;
}
