// SPDX-License-Identifier: Apache-2.0
/// \file
/// Sampling responses: all rollouts advance in lock step, and only those that have not ended are computed.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "infalign/core/config.hpp"
#include "language_model.hpp"
#include "random_stream.hpp"
#include "word_data.hpp"

namespace align {

/// Sampled responses with the activations of every sampled token.
///
/// Activations are stored step by step: all first tokens, then all second tokens … Everything else is ordered by rollout: the
/// tokens of rollout `r` are `offsets[r] … offsets[r+1]`, and the activations of token `i` are column `position[i]`.
struct rollouts {
  std::vector<word> words;  ///< prompt and response of each rollout
  std::vector<std::int32_t> tokens;
  std::vector<infalign::index_t> offsets;
  std::vector<Index> position;
  activations<float> at;

  [[nodiscard]] Index n_tokens() const { return static_cast<Index>(tokens.size()); }
};

/// A token from softmax(logits).
template <class Logits>
int sample_token(const Logits& logits, random_stream& random) {
  const Eigen::Array<float, logit_columns, 1> weight = (logits.array() - logits.maxCoeff()).exp();
  float threshold = static_cast<float>(random.uniform()) * weight.template head<vocabulary>().sum();
  for (int token = 0; token < vocabulary - 1; ++token) {
    threshold -= weight[token];
    if (threshold < 0) return token;
  }
  return vocabulary - 1;
}

class sampler {
 public:
  /// Samples a response of `model` to each prefix. A word of the greatest length ends there without a choice, so that it has no
  /// end mark among its tokens.
  void operator()(const language_model<float>& model, const std::vector<word>& prefixes, random_stream& random, rollouts& out) {
    out.words = prefixes;
    out.at.reserve(static_cast<Index>(prefixes.size()) * (longest_word - prompt_length));
    alive_.resize(prefixes.size());
    std::iota(alive_.begin(), alive_.end(), std::size_t{0});
    token_.clear();
    owner_.clear();
    while (!alive_.empty()) {
      const std::size_t begin = token_.size();
      for (std::size_t i = 0; i < alive_.size(); ++i) out.at.features[begin + i] = context_features(out.words[alive_[i]]);
      model.forward(out.at, static_cast<Index>(begin), static_cast<Index>(alive_.size()));
      choose_tokens(random, out);
    }
    order_by_rollout(out);
  }

 private:
  void choose_tokens(random_stream& random, rollouts& out) {
    std::size_t n_alive = 0;
    for (const std::size_t r : alive_) {
      const int token = sample_token(out.at.logits.col(static_cast<Index>(token_.size())), random);
      token_.push_back(token);
      owner_.push_back(r);
      if (token == end_of_word) continue;
      out.words[r].append(token);
      if (!out.words[r].full()) alive_[n_alive++] = r;
    }
    alive_.resize(n_alive);
  }

  void order_by_rollout(rollouts& out) {
    out.offsets.assign(out.words.size() + 1, 0);
    for (const std::size_t r : owner_) ++out.offsets[r + 1];
    std::partial_sum(out.offsets.begin(), out.offsets.end(), out.offsets.begin());
    next_.assign(out.offsets.begin(), out.offsets.end() - 1);
    out.tokens.resize(token_.size());
    out.position.resize(token_.size());
    for (std::size_t i = 0; i < token_.size(); ++i) {
      const auto slot = static_cast<std::size_t>(next_[owner_[i]]++);
      out.tokens[slot] = token_[i];
      out.position[slot] = static_cast<Index>(i);
    }
  }

  std::vector<std::size_t> alive_, owner_;
  std::vector<std::int32_t> token_;
  std::vector<infalign::index_t> next_;
};

/// `n` copies of the prefix of each of the prompts `begin … end`: what `n` rollouts a prompt start from.
template <class Iterator>
std::vector<word> repeat_prefixes(Iterator begin, Iterator end, std::size_t n) {
  std::vector<word> prefixes;
  for (; begin != end; ++begin) prefixes.insert(prefixes.end(), n, begin->prefix);
  return prefixes;
}

}  // namespace align
