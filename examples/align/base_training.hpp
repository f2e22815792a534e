// SPDX-License-Identifier: Apache-2.0
/// \file
/// The base policy: maximum likelihood on the dictionary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "adam.hpp"
#include "infalign/infalign.hpp"
#include "language_model.hpp"
#include "word_data.hpp"

namespace align {

/// A word up to some letter, and the token that follows.
struct next_token {
  word context;
  std::int32_t token;
};

inline std::vector<next_token> next_tokens(const std::vector<word>& words) {
  std::vector<next_token> examples;
  for (const word& w : words)
    for (int n = prompt_length; n <= w.length && n < longest_word; ++n)
      examples.push_back({w.prefix(n), n < w.length ? w[n] : end_of_word});
  return examples;
}

/// Trains for one pass over the dictionary in random order, with a learning rate that falls to 0. There is only one pass, and
/// Adam's ε is far above the usual 1e-8, because the model must not know the dictionary by heart: its completions would then be
/// dictionary words, and the reward model would have nothing to prefer.
template <class Backend>
language_model<float> train_base(Backend on, const std::vector<word>& words, random_stream random) {
  constexpr Index batch = 256;
  constexpr double learning_rate = 3e-3;
  constexpr double epsilon = 1e-3;
  language_model<float> model(random);
  std::vector<next_token> examples = next_tokens(words);
  random.shuffle(examples);
  adam<float> optimizer(model.parameters().size(), epsilon);
  activations<float> at;
  at.reserve(batch);
  Eigen::VectorXf gradient;
  std::vector<std::int32_t> tokens(batch);
  const std::vector<float> ones(batch, 1.0f);
  for (std::size_t begin = 0; begin + batch <= examples.size(); begin += batch) {
    for (std::size_t j = 0; j < batch; ++j) {
      at.features[j] = context_features(examples[begin + j].context);
      tokens[j] = examples[begin + j].token;
    }
    model.forward(at, 0, batch);
    // Cross-entropy is the REINFORCE loss of the right token with advantage 1. Its gradient is written over the logits.
    const infalign::rows<float> logits(at.logits.data(), batch, logit_columns);
    infalign::policy_gradient(on, infalign::reinforce{}, infalign::token_logits<float>{logits, {}, tokens}, ones,
                              {.scale = 1.0 / batch}, infalign::token_statistics<float>{}, logits);
    model.backward(at, at.logits, batch, gradient);
    const double progress = static_cast<double>(begin) / static_cast<double>(examples.size());
    optimizer.step(model.parameters(), gradient, learning_rate * (1 - progress));
  }
  return model;
}

}  // namespace align
