// SPDX-License-Identifier: Apache-2.0
// Calls of many algorithms, compiled for several instruction sets, each under a NAME of its own.
#include <cstdint>
#include <infalign/infalign.hpp>
#include <infalign/serving.hpp>
#include <string>
#include <vector>

#include "library.hpp"

using namespace infalign;

double NAME(const std::vector<float>& references, const std::vector<float>& rewards) {
  const index_t prompts = 4, k = static_cast<index_t>(references.size()) / prompts,
                m = static_cast<index_t>(rewards.size()) / prompts;
  std::vector<float> calibrated(rewards.size()), left_out(rewards.size()), gradient(rewards.size()), kl(4);
  std::vector<double> win_rate(4);
  const std::vector<float> advantages(4, 1.0f), of_rollouts(2, 1.0f);
  const std::vector<std::int32_t> ids(4, 0);
  const std::vector<index_t> offsets{0, 2, 4};
  const rows<const float> z(references.data(), prompts, k), y(rewards.data(), prompts, m);
  const rows<float> u(calibrated.data(), prompts, m), v(left_out.data(), prompts, m), g(gradient.data(), prompts, m);
  token_statistics<float> statistics;
  statistics.kl = kl;
  double sum = 0;
  const auto all = [&](auto on) {
    for (const auto algorithm : {rank_algorithm::counting, rank_algorithm::sorting}) calibrate(on, z, y, u, {{}, algorithm});
    calibrate_transform(on, z, y, exponential(3), u);
    calibrate_leave_one_out(on, y, v);
    procedure_win_rate(on, y, z, best_of(2), win_rate);
    const estimate e = summarize(on, win_rate, win_rate_range);
    leave_one_out_advantage(on, y, u);
    policy_gradient(on, reinforce{}, token_logits<float>{y, y, ids}, advantages, {.kl = kl_weight(0.1)}, statistics, g);
    sequence_policy_gradient(on, token_logits<float>{y, y, ids}, offsets, of_rollouts, {.kl = kl_weight(0.1)}, statistics, g);
    apply(on, parse_transform("normal_quantile"), std::vector<float>{0.1f, 0.5f},
          left_out.size() > 2 ? span<float>(left_out.data(), 2) : span<float>());
    const calibrator fitted(on, z);
    sum += e.value + e.interval(0.95).low + gradient[0] + calibrated[0] + fitted[0].cdf(0.0f);
  };
  const std::vector<float> quantiles{0.25f, 0.5f};
  sum += mean_transformed({quantiles.data(), 1, 2}, parse_transform("identity"), best_of(2)).value;
  const auto model = [](span<const sample_request> asked) {
    std::vector<double> responses;
    for (const sample_request& r : asked) responses.push_back(static_cast<double>(r.seed >> 11) * 0x1p-53);
    return responses;
  };
  const auto reward = [](span<const sample_request>, span<const double> y) { return std::vector<double>(y.begin(), y.end()); };
  const auto served_by = [&](const auto& p) { sum += serve(p, model, reward, 4, {.seed = 1}).prompts[0].score; };
  served_by(best_of(4));
  served_by(best_of_poisson(3));
  served_by(top_of(2, 8));
  served_by(soft_best_of(4, 0.3));
  served_by(stopped_at(worst_of(9), reservation_quantile(0.3)));
  served_by(rewind_and_repeat(0.7, 3));
  sum += serve_majority(
             majority_of(3), model, [](double y) { return y > 0.5; }, 4)
             .prompts[0]
             .score;
  sum += reservation_value(quantiles, 0.1);
  const tabulated table({0, 0.25, 0.5, 0.75, 1}, {0, 1, 2, 4, 8}), fixed({0, 0.5, 1}, {0, 1, 2}, {2, 2, 2});
  const clamped limited(exponential(3), 0.1, 0.9);
  const best_of_random mixed({{1, 0.5}, {4, 0.5}});
  sum += table(0.3) + fixed(0.3) + limited(0.95) + mixed.density(0.5);
  for (const std::string& name : {table.name(), limited.name(), scaled(limited, 2).name(), mixed.name(), best_of(2).name(),
                                  any_procedure(mixed).name(), any_transform(limited).name(), rewind_and_repeat(0.7, 3).name()})
    sum += static_cast<double>(name.size());
  all(simd());
  all(scalar());
  return sum;
}
