// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a policy is worth on held-out prompts: its KL to the base policy, and its win rates under three procedures.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "infalign/infalign.hpp"
#include "rollout.hpp"
#include "scenario.hpp"

namespace align {

inline constexpr std::size_t n_procedures = 3;
inline constexpr std::array<const char*, n_procedures> procedure_names = {"standard", "best_of_4", "worst_of_4"};

/// Calls `use(i, procedure)` for the procedures in the order of `procedure_names`.
template <class Use>
void for_each_procedure(Use&& use) {
  use(std::size_t{0}, infalign::standard{});
  use(std::size_t{1}, infalign::best_of{4});
  use(std::size_t{2}, infalign::worst_of{4});
}

/// One value for each held-out prompt.
struct evaluation {
  std::vector<double> kl;
  std::array<std::vector<double>, n_procedures> win_rate;
};

/// Samples of a policy with their rewards, and the mean KL of the responses to each prompt.
struct scored_samples {
  reward_table rewards;
  std::vector<double> kl;
};

/// KL of every rollout: the sum over its tokens of the exact KL between the next-token distributions.
template <class Backend>
std::vector<double> rollout_kl(Backend& on, const rollouts& drawn, const language_model<float>& base,
                               activations<float>& base_at) {
  const Index n = drawn.n_tokens();
  base_at.reserve(n);
  std::copy_n(drawn.at.features.begin(), n, base_at.features.begin());
  base.forward(base_at, 0, n);
  std::vector<float> token_kl(static_cast<std::size_t>(n));
  infalign::token_statistics<float> statistics;
  statistics.kl = token_kl;
  // The logits are in the order of activations, `drawn.tokens` in that of rollouts. That does no harm: ids matter only for
  // log-probabilities, which are not asked for.
  const infalign::rows<const float> policy_logits(drawn.at.logits.data(), n, logit_columns);
  const infalign::rows<const float> base_logits(base_at.logits.data(), n, logit_columns);
  infalign::compute_token_statistics(on, infalign::token_logits<float>{policy_logits, base_logits, drawn.tokens}, statistics);
  std::vector<double> kl(drawn.words.size(), 0.0);
  for (std::size_t r = 0; r < kl.size(); ++r)
    for (auto i = drawn.offsets[r]; i < drawn.offsets[r + 1]; ++i)
      kl[r] += static_cast<double>(token_kl[static_cast<std::size_t>(drawn.position[static_cast<std::size_t>(i)])]);
  return kl;
}

/// `n` fresh samples of every held-out prompt.
template <class Backend>
scored_samples sample_policy(Backend& on, const language_model<float>& policy, const scenario& from, std::size_t n,
                             random_stream random) {
  scored_samples samples{{{}, n}, {}};
  sampler sample;
  rollouts drawn;
  activations<float> base_at;
  constexpr std::size_t prompts_at_once = 16;
  const std::vector<prompt>& prompts = from.prompts.held_out;
  for (std::size_t begin = 0; begin < prompts.size(); begin += prompts_at_once) {
    const std::size_t end = std::min(begin + prompts_at_once, prompts.size());
    sample(policy, repeat_prefixes(&prompts[begin], &prompts[end - 1] + 1, n), random, drawn);
    const std::vector<float> rewards = from.reward(drawn.words);
    samples.rewards.values.insert(samples.rewards.values.end(), rewards.begin(), rewards.end());
    const std::vector<double> kl = rollout_kl(on, drawn, from.base, base_at);
    for (auto first = kl.begin(); first != kl.end(); first += static_cast<std::ptrdiff_t>(n))
      samples.kl.push_back(std::accumulate(first, first + static_cast<std::ptrdiff_t>(n), 0.0) / static_cast<double>(n));
  }
  return samples;
}

/// The win rate of every prompt under every procedure.
template <class Backend>
void win_rates(Backend& on, const reward_table& policy, const reward_table& base, evaluation& result) {
  for_each_procedure([&](std::size_t i, const auto& procedure) {
    result.win_rate[i].resize(policy.prompts());
    infalign::procedure_win_rate(on, policy.rows(), base.rows(), procedure, result.win_rate[i]);
  });
}

/// Evaluates `policy` against the base samples that are set aside for it.
template <class Backend>
evaluation evaluate(Backend& on, const language_model<float>& policy, const scenario& from, random_stream random) {
  scored_samples samples = sample_policy(on, policy, from, from.evaluation.per_prompt, random);
  evaluation result;
  win_rates(on, samples.rewards, from.evaluation, result);
  result.kl = std::move(samples.kl);
  return result;
}

}  // namespace align
