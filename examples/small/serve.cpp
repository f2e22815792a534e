// SPDX-License-Identifier: Apache-2.0
// Procedures that run on a model and a reward of yours, in batches: best-of-4, and as many samples as are worth their price. And one
// that runs on samples in hand.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <infalign/serving.hpp>
#include <vector>

using infalign::sample_request, infalign::span;

int main() {
  // The model answers each request with a number in [0, 1), from the request's random bits; the reward is that number.
  const auto model = [](span<const sample_request> requests) {
    std::vector<double> responses;
    for (const sample_request& r : requests) responses.push_back(static_cast<double>(r.seed >> 11) * 0x1p-53);
    return responses;
  };
  const auto reward = [](span<const sample_request>, span<const double> responses) {
    return std::vector<double>(responses.begin(), responses.end());
  };
  const double prompts = 20'000, price = 0.02;  // a sample costs as much as 0.02 of reward

  const auto fixed = infalign::serve(infalign::best_of(4), model, reward, 20'000, {.seed = 1});
  // Draw until the best in hand is so good that one more sample gains less than its price on average.
  const double enough = infalign::reservation_quantile(price);
  const auto adaptive =
      infalign::serve(infalign::stopped_at(infalign::best_of(64), enough), model, reward, 20'000, {.seed = 1});

  // Two prompts that have four scored samples each already. The second has two that are best: one of them is taken at random.
  const std::vector<double> scores{0.1, 0.7, 0.4, 0.6, 0.9, 0.2, 0.9, 0.3};
  std::vector<infalign::index_t> served(2);
  infalign::choose_samples(infalign::best_of(4), infalign::rows<const double>(scores.data(), 2, 4), served, /*seed=*/1);
  if (served[0] != 1 || scores[static_cast<std::size_t>(4 + served[1])] != 0.9) return 1;

  double best = 0, net = 0;
  for (const auto& prompt : fixed.prompts) best += prompt.score / prompts;
  for (const auto& prompt : adaptive.prompts)
    net += (prompt.score - price * static_cast<double>(prompt.cost.samples)) / prompts;
  std::printf("best of 4: %.4f less %.4f; stopped at %.2f: %.4f net, for %.2f samples a prompt\n", best, 4 * price, enough, net,
              static_cast<double>(adaptive.cost.samples) / prompts);
  // The best of 4 uniform numbers is 4/5 on average, with a standard deviation of 0.163. Who stops at the right value, 1 - √0.04,
  // earns just that: the reward less what 5 samples cost on average. Its standard deviation is 0.11.
  return std::abs(best - 0.8) <= 4 * 0.163 / std::sqrt(prompts) && std::abs(net - 0.8) <= 4 * 0.11 / std::sqrt(prompts) ? 0 : 1;
}
