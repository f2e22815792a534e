// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// GMPO: the geometric mean of the tokens' ratios, each clipped on the side where it would pay: each token of a response has the loss
/// `-A·exp(mean_t c_t)` with `c_t = min(log ρ_t, ε_high)` for A > 0 and `max(log ρ_t, -ε_low)` for A < 0. The bounds are those of
/// log-ratios. A clipped token gets no gradient, the others that of the product. Source: Zhao et al., arXiv 2507.20673.
///
/// Weights of `1/(R·|y|)` a token give the mean over `R` responses, as for `gspo`. One advantage for a response.
/// For `sequence_policy_gradient`. In `policy_gradient` each token is its own response.
struct gmpo {
  static constexpr bool needs_old_log_prob = true;
  double epsilon_low;
  double epsilon_high;

  /// Errors: `domain_error` unless both are finite and not negative.
  gmpo(double low, double high) : epsilon_low(low), epsilon_high(high) {
    expects<domain_error>(low >= 0 && low - low == 0, "gmpo", "epsilon_low is ", low, ", must be finite and not negative");
    expects<domain_error>(high >= 0 && high - high == 0, "gmpo", "epsilon_high is ", high, ", must be finite and not negative");
  }
  INFALIGN_HD double sequence_term(const token_row& row) const {
    const double log_ratio = row.log_prob - row.old_log_prob;
    if (row.advantage > 0) return log_ratio > epsilon_high ? epsilon_high : log_ratio;
    return log_ratio < -epsilon_low ? -epsilon_low : log_ratio;
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const double loss = -detail::capped_product(row.advantage, detail::capped_exp(detail::mean_sequence_term(*this, row)));
    const double log_ratio = row.log_prob - row.old_log_prob;
    const bool clipped = row.advantage > 0 ? log_ratio > epsilon_high : log_ratio < -epsilon_low;
    return {loss, clipped ? 0.0 : loss};
  }
};

}  // namespace infalign
