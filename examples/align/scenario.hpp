// SPDX-License-Identifier: Apache-2.0
/// \file
/// Everything that alignment starts from: prompts, base policy, reward model, and rewards of base samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base_training.hpp"
#include "infalign/core/views.hpp"
#include "preference_training.hpp"
#include "rollout.hpp"
#include "word_data.hpp"

namespace align {

/// Rewards of samples, the same number for every prompt.
struct reward_table {
  std::vector<float> values;
  std::size_t per_prompt = 0;

  [[nodiscard]] std::size_t prompts() const { return values.size() / per_prompt; }
  [[nodiscard]] infalign::rows<const float> rows() const {
    return {values.data(), static_cast<infalign::index_t>(prompts()), static_cast<infalign::index_t>(per_prompt)};
  }
};

/// Sizes of the sample sets.
struct sample_counts {
  std::size_t calibration = 64;   ///< base samples a training prompt
  std::size_t evaluation = 128;   ///< samples of either policy a held-out prompt
  std::size_t closed_form = 512;  ///< base samples a held-out prompt that the closed-form policies choose from
};

struct scenario {
  prompt_split prompts;
  language_model<float> base;
  reward_model<float> reward;
  reward_table calibration;
  reward_table evaluation;
  reward_table closed_form;
};

/// Rewards of `n` responses of `policy` to every prompt.
inline reward_table sample_rewards(const language_model<float>& policy, const reward_model<float>& reward,
                                   const std::vector<prompt>& prompts, std::size_t n, random_stream random) {
  constexpr std::size_t at_once = 4096;  // rollouts; their activations stay in cache
  const std::size_t prompts_at_once = std::max<std::size_t>(1, at_once / n);
  reward_table table{{}, n};
  sampler sample;
  rollouts drawn;
  for (std::size_t begin = 0; begin < prompts.size(); begin += prompts_at_once) {
    const std::size_t end = std::min(begin + prompts_at_once, prompts.size());
    const auto first = prompts.begin();
    sample(policy, repeat_prefixes(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end), n),
           random, drawn);
    const std::vector<float> rewards = reward(drawn.words);
    table.values.insert(table.values.end(), rewards.begin(), rewards.end());
  }
  return table;
}

/// Trains base policy and reward model, then samples the base policy. Each part has its own random stream.
template <class Backend>
scenario prepare(const Backend& on, const std::vector<word>& words, const sample_counts& counts, int reward_steps,
                 const random_stream& random) {
  constexpr double held_out_share = 0.17;
  random_stream split_stream = random.child(1);
  prompt_split prompts = split_prompts(words, held_out_share, split_stream);
  language_model<float> base = train_base(on, words, random.child(2));
  reward_model<float> reward = train_reward(base, prompts.train, reward_steps, random.child(3));
  reward_table calibration = sample_rewards(base, reward, prompts.train, counts.calibration, random.child(4));
  reward_table evaluation = sample_rewards(base, reward, prompts.held_out, counts.evaluation, random.child(5));
  reward_table closed_form = sample_rewards(base, reward, prompts.held_out, counts.closed_form, random.child(6));
  return {std::move(prompts),     std::move(base),       std::move(reward),
          std::move(calibration), std::move(evaluation), std::move(closed_form)};
}

}  // namespace align
