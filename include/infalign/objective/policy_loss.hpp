// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy losses of one token, as functions of its log-probability. To add one, write a small type with
/// - `loss(log_prob, advantage, token)`, to be minimised;
/// - `score_weight(log_prob, advantage, token)`: `-d loss / d log_prob`, the factor of the score `∇ log π`.
/// `token` is the position in the batch, for losses that carry per-token data such as old log-probabilities. Such a loss also
/// has `check(function, tokens)`, which throws `shape_error` unless it has data for that many tokens.
#pragma once

#include <cmath>
#include <string_view>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// REINFORCE: `loss = -A·log π(token)`. Source: Williams, Machine Learning 8 (1992).
struct reinforce {
  INFALIGN_HD double loss(double log_prob, double advantage, index_t) const { return -advantage * log_prob; }
  INFALIGN_HD double score_weight(double, double advantage, index_t) const { return advantage; }
};

/// PPO's clipped surrogate: `loss = -min(ρA, clip(ρ, 1-ε_low, 1+ε_high)·A)`, `ρ = exp(log π - log π_old)`. Where the clipped
/// branch is the smaller the gradient is 0. Source: Schulman et al., arXiv 1707.06347; unequal bounds: DAPO, arXiv 2503.14476.
template <class T, class Space = host_memory>
struct clipped_surrogate {
  using memory_space = Space;
  span<const T, Space> old_log_prob;  ///< log-probability of each token at rollout, one a token
  double epsilon_low;
  double epsilon_high;

  clipped_surrogate(span<const T, Space> old, double low, double high)
      : old_log_prob(old), epsilon_low(low), epsilon_high(high) {
    expects<domain_error>(low >= 0 && low <= 1, "clipped_surrogate", "epsilon_low is ", low, ", must be in [0, 1]");
    expects<domain_error>(high >= 0 && high - high == 0, "clipped_surrogate", "epsilon_high is ", high,
                          ", must be finite and not negative");
  }
  void check(std::string_view function, index_t tokens) const {
    expects<shape_error>(old_log_prob.size() == tokens, function, "loss.old_log_prob has ", old_log_prob.size(),
                         " values, but there are ", tokens, " tokens");
  }
  INFALIGN_HD double loss(double log_prob, double advantage, index_t token) const {
    const double ratio = this->ratio(log_prob, token);
    const double plain = ratio * advantage;
    const double clipped = clip(ratio) * advantage;
    return -(plain < clipped ? plain : clipped);
  }
  INFALIGN_HD double score_weight(double log_prob, double advantage, index_t token) const {
    const double ratio = this->ratio(log_prob, token);
    return ratio * advantage <= clip(ratio) * advantage ? ratio * advantage : 0.0;
  }

 private:
  INFALIGN_HD double ratio(double log_prob, index_t token) const {
    using std::exp;
    return exp(log_prob - static_cast<double>(old_log_prob[token]));
  }
  INFALIGN_HD double clip(double ratio) const {
    return ratio < 1 - epsilon_low ? 1 - epsilon_low : ratio > 1 + epsilon_high ? 1 + epsilon_high : ratio;
  }
};

}  // namespace infalign
