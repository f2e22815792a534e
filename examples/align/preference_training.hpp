// SPDX-License-Identifier: Apache-2.0
/// \file
/// The reward model: dictionary completions are preferred over the base policy's own.
#pragma once

#include <vector>

#include "adam.hpp"
#include "reward_model.hpp"
#include "rollout.hpp"
#include "word_data.hpp"

namespace align {

/// For each prompt a word of the dictionary, and one that the base policy completed.
struct preference_batch {
  std::vector<word> preferred;
  std::vector<word> other;
};

inline preference_batch draw_preferences(const language_model<float>& base, const std::vector<prompt>& prompts, std::size_t n,
                                         random_stream& random) {
  preference_batch batch;
  std::vector<word> prefixes;
  for (std::size_t i = 0; i < n; ++i) {
    const prompt& p = prompts[random.below(prompts.size())];
    prefixes.push_back(p.prefix);
    batch.preferred.push_back(p.dictionary[random.below(p.dictionary.size())]);
  }
  sampler sample;
  rollouts drawn;
  sample(base, prefixes, random, drawn);
  batch.other = std::move(drawn.words);
  return batch;
}

/// `steps` steps of 512 fresh preferences over the training prompts.
inline reward_model<float> train_reward(const language_model<float>& base, const std::vector<prompt>& prompts, int steps,
                                        random_stream random) {
  constexpr double learning_rate = 5e-3;
  constexpr float weight_decay = 1e-4f;
  reward_model<float> reward;
  // An ε far above the usual 1e-8: Adam would otherwise move a rare n-gram as far as a frequent one, and the reward of words
  // from unseen prompts would be noise.
  adam<float> optimizer(ngram_features::buckets, 1e-3);
  for (int step = 0; step < steps; ++step) {
    const preference_batch batch = draw_preferences(base, prompts, 512, random);
    Eigen::VectorXf gradient = weight_decay * reward.weights();
    reward.loss(batch.preferred, batch.other, gradient);
    optimizer.step(reward.weights(), gradient, learning_rate * (1 - static_cast<double>(step) / steps));
  }
  return reward;
}

/// Share of fresh preferences over `prompts` that the reward model gets right.
inline double preference_accuracy(const reward_model<float>& reward, const language_model<float>& base,
                                  const std::vector<prompt>& prompts, random_stream random) {
  const preference_batch batch = draw_preferences(base, prompts, 4096, random);
  int right = 0;
  for (std::size_t i = 0; i < batch.preferred.size(); ++i) right += reward(batch.preferred[i]) > reward(batch.other[i]);
  return static_cast<double>(right) / static_cast<double>(batch.preferred.size());
}

}  // namespace align
