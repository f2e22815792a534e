// SPDX-License-Identifier: Apache-2.0
/// \file
/// The prefix scorer of controlled decoding: the expected calibrated reward of what the base policy will make of the beginning of a word.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "infalign/serving.hpp"
#include "language_model.hpp"
#include "serving_model.hpp"

namespace align {

/// A network of the language model's shape. Where that has the logit of token z, this has the logit of the value of the prefix with z:
/// one forward pass scores all tokens that may come next.
class prefix_scorer {
 public:
  prefix_scorer(const language_model<float>& values, const std::vector<prompt>& prompts)
      : rows_(values, prompts), values_(values) {}

  /// The value of a logit.
  static float share(float logit) { return 1 / (1 + std::exp(-logit)); }

  /// The values of every next token: a row for each request.
  std::vector<float> operator()(infalign::span<const infalign::token_request> requests) {
    std::vector<float> values = rows_(requests);
    for (float& v : values) v = share(v);
    return values;
  }

  /// The values of prefixes that have at least one token.
  std::vector<float> operator()(infalign::span<const completion> prefixes) {
    at_.reserve(static_cast<Index>(prefixes.size()));
    for (infalign::index_t i = 0; i < prefixes.size(); ++i)
      at_.features[static_cast<std::size_t>(i)] = context_features(before_last(prefixes[i]));
    values_.forward(at_, 0, static_cast<Index>(prefixes.size()));
    std::vector<float> found;
    for (infalign::index_t i = 0; i < prefixes.size(); ++i)
      found.push_back(share(at_.logits(last_token(prefixes[i]), static_cast<Index>(i))));
    return found;
  }
  std::vector<float> operator()(infalign::span<const infalign::block_request<completion>>,
                                infalign::span<const completion> prefixes) {
    return (*this)(prefixes);
  }

 private:
  serving_model rows_;
  const language_model<float>& values_;
  activations<float> at_;
};

/// How far the scorer is from the truth on held-out prompts.
struct scorer_error {
  double error = 0;   ///< root mean square
  double spread = 0;  ///< standard deviation of the truth: the error of the best constant
};

}  // namespace align
