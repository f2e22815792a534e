// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/objective/loss/token_loss.hpp"

namespace infalign {

/// PPO's clipped surrogate, also the loss of GRPO: `loss = -min(ρA, clip(ρ, 1-ε_low, 1+ε_high)·A)` with
/// `ρ = exp(log π - log π_old)`. The gradient is 0 where the clipped branch is the smaller. Source: Schulman et al., arXiv
/// 1707.06347; unequal bounds: DAPO, arXiv 2503.14476.
struct clipped_surrogate {
  static constexpr bool needs_old_log_prob = true;
  double epsilon_low;
  double epsilon_high;

  /// Errors: `domain_error` unless `0 <= ε_low <= 1` and `0 <= ε_high < inf`.
  clipped_surrogate(double low, double high) : epsilon_low(low), epsilon_high(high) {
    expects<domain_error>(low >= 0 && low <= 1, "clipped_surrogate", "epsilon_low is ", low, ", must be in [0, 1]");
    expects<domain_error>(high >= 0 && high - high == 0, "clipped_surrogate", "epsilon_high is ", high,
                          ", must be finite and not negative");
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    using std::exp;
    const double ratio = exp(row.log_prob - row.old_log_prob);
    const double plain = detail::product(row.advantage, ratio);
    const double clipped = detail::product(row.advantage, clip(ratio));
    const bool cut = plain > clipped;  // false for NaN, which then shows
    return {cut ? -clipped : -plain, cut ? 0.0 : -plain};
  }

 private:
  INFALIGN_HD double clip(double ratio) const {
    return ratio < 1 - epsilon_low ? 1 - epsilon_low : ratio > 1 + epsilon_high ? 1 + epsilon_high : ratio;
  }
};

}  // namespace infalign
