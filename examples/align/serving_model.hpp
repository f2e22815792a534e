// SPDX-License-Identifier: Apache-2.0
/// \file
/// The language model and the reward as the library's serving procedures call them: with all that is needed at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "infalign/serving.hpp"
#include "language_model.hpp"
#include "random_stream.hpp"
#include "rollout.hpp"
#include "scenario.hpp"
#include "word_data.hpp"

namespace align {

/// The most tokens of a response. A word of the greatest length ends there, without an end mark.
inline constexpr int most_tokens = longest_word - prompt_length;

/// A word on its way.
struct completion {
  word letters;  ///< those of the prompt included
  bool ended = false;

  void append(int token) {
    if (token != end_of_word) letters.append(token);
    ended = token == end_of_word || letters.full();
  }
};

/// The tokens behind the prompt.
inline infalign::index_t token_count(const completion& c) {
  return c.letters.length - prompt_length + (c.ended && !c.letters.full() ? 1 : 0);
}

/// The last of at least one token.
inline int last_token(const completion& c) {
  return c.ended && !c.letters.full() ? end_of_word : c.letters[-1];
}
/// The letters in front of it.
inline word before_last(const completion& c) {
  return last_token(c) == end_of_word ? c.letters : c.letters.prefix(c.letters.length - 1);
}

inline word word_of(word letters, infalign::span<const infalign::index_t> tokens) {
  for (infalign::index_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] != end_of_word) letters.append(static_cast<int>(tokens[i]));
  return letters;
}

/// A language model as a sampler of whole responses, of blocks and of logits. One forward pass a token, for all that have not ended.
class serving_model {
 public:
  serving_model(const language_model<float>& model, const std::vector<prompt>& prompts) : model_(model), prompts_(prompts) {}

  std::vector<completion> operator()(infalign::span<const infalign::sample_request> requests) {
    start();
    for (infalign::index_t i = 0; i < requests.size(); ++i)
      add({prompts_[static_cast<std::size_t>(requests[i].prompt)].prefix}, most_tokens, requests[i].seed);
    return extend();
  }

  std::vector<completion> operator()(infalign::span<const infalign::block_request<completion>> requests) {
    start();
    for (infalign::index_t i = 0; i < requests.size(); ++i)
      add(*requests[i].prefix, static_cast<int>(requests[i].length), requests[i].seed);
    return extend();
  }

  /// A row of logits for each request.
  std::vector<float> operator()(infalign::span<const infalign::token_request> requests) {
    at_.reserve(static_cast<Index>(requests.size()));
    for (infalign::index_t i = 0; i < requests.size(); ++i)
      at_.features[static_cast<std::size_t>(i)] =
          context_features(word_of(prompts_[static_cast<std::size_t>(requests[i].prompt)].prefix, requests[i].response));
    model_.forward(at_, 0, static_cast<Index>(requests.size()));
    std::vector<float> rows;
    rows.reserve(static_cast<std::size_t>(requests.size()) * vocabulary);
    for (Index i = 0; i < static_cast<Index>(requests.size()); ++i)
      rows.insert(rows.end(), at_.logits.col(i).data(), at_.logits.col(i).data() + vocabulary);
    return rows;
  }

 private:
  void start() {
    words_.clear();
    left_.clear();
    random_.clear();
  }
  void add(const completion& prefix, int length, std::uint64_t seed) {
    words_.push_back(prefix);
    left_.push_back(length);
    random_.emplace_back(seed);
  }

  std::vector<completion> extend() {
    at_.reserve(static_cast<Index>(words_.size()));
    alive_.resize(words_.size());
    std::iota(alive_.begin(), alive_.end(), std::size_t{0});
    const auto done = [this](std::size_t r) { return words_[r].ended || left_[r] == 0; };
    for (std::erase_if(alive_, done); !alive_.empty(); std::erase_if(alive_, done)) {
      for (std::size_t i = 0; i < alive_.size(); ++i) at_.features[i] = context_features(words_[alive_[i]].letters);
      model_.forward(at_, 0, static_cast<Index>(alive_.size()));
      for (std::size_t i = 0; i < alive_.size(); ++i) {
        const std::size_t r = alive_[i];
        words_[r].append(sample_token(at_.logits.col(static_cast<Index>(i)), random_[r]));
        --left_[r];
      }
    }
    return std::move(words_);
  }

  const language_model<float>& model_;
  const std::vector<prompt>& prompts_;
  activations<float> at_;
  std::vector<completion> words_;
  std::vector<int> left_;  ///< tokens that each may still have
  std::vector<random_stream> random_;
  std::vector<std::size_t> alive_;
};

}  // namespace align
