// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// What trainers add to the clipped surrogate; nothing by default.
struct surrogate_limits {
  double dual_clip = infinity<double>;  ///< `c`: for A < 0 the loss is at most `c·|A|`; verl 3. Ye et al., arXiv 1912.09729.
  double delta =
      infinity<double>;  ///< `δ`: the unclipped branch takes `min(ρ, δ)`; TRL's `delta`. INTELLECT-2, arXiv 2505.07291.
  log_ratio_range log_ratio{};  ///< clamps `log ρ`
};

namespace detail {

/// `-min(min(ρ, δ)·A, clip(ρ, 1-ε_low, 1+ε_high)·A)`, for A < 0 at most `-c·A`, of a token's ratio or a response's.
struct clipped_ratio {
  double epsilon_low;
  double epsilon_high;
  surrogate_limits limits;

  INFALIGN_KEYED clipped_ratio(std::string_view function, double low, double high, const surrogate_limits& with)
      : epsilon_low(low), epsilon_high(high), limits(with) {
    expects<domain_error>(low >= 0 && low <= 1, function, "epsilon_low is ", low, ", must be in [0, 1]");
    expects<domain_error>(high >= 0 && high - high == 0, function, "epsilon_high is ", high,
                          ", must be finite and not negative");
    expects<domain_error>(with.dual_clip > 1, function, "dual_clip is ", with.dual_clip, ", must be greater than 1");
    expects<domain_error>(with.delta > 0, function, "delta is ", with.delta, ", must be positive");
    check_range(function, with.log_ratio);
  }
  INFALIGN_HD loss_value operator()(double log_ratio, double advantage) const {
    const likelihood_ratio ratio(log_ratio, limits.log_ratio);
    const double plain = ratio.value > limits.delta ? limits.delta : ratio.value;
    const double clipped = clip(ratio.value, 1 - epsilon_low, 1 + epsilon_high);
    const bool cut = capped_product(advantage, plain) > capped_product(advantage, clipped);  // false for NaN, which then shows
    const double chosen = cut ? clipped : plain;
    if (advantage < 0 && chosen > limits.dual_clip) return {-capped_product(advantage, limits.dual_clip)};
    const bool constant = chosen < ratio.value || chosen > ratio.value;
    return {-capped_product(advantage, chosen), constant ? 0.0 : -capped_product(advantage, ratio.slope)};
  }
};

}  // namespace detail

/// PPO's clipped surrogate, also the loss of GRPO: `loss = -min(ρA, clip(ρ, 1-ε_low, 1+ε_high)·A)` with
/// `ρ = exp(log π - log π_old)`. The gradient is 0 where the clipped branch is the smaller. Source: Schulman et al., arXiv
/// 1707.06347; unequal bounds: DAPO, arXiv 2503.14476.
///
/// `limits` are those of trainers: verl's loss is `clipped_surrogate(0.2, 0.2, {.dual_clip = 3, .log_ratio = {-20, 20}})`.
struct clipped_surrogate : private detail::clipped_ratio {
  static constexpr bool needs_old_log_prob = true;
  using detail::clipped_ratio::epsilon_high;
  using detail::clipped_ratio::epsilon_low;
  using detail::clipped_ratio::limits;

  /// Errors: `domain_error` unless `0 <= ε_low <= 1`, `0 <= ε_high < inf`, `c > 1`, `δ > 0`, and 0 is in the range of log-ratios.
  clipped_surrogate(double low, double high, const surrogate_limits& with = {})
      : clipped_ratio("clipped_surrogate", low, high, with) {}
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    return clipped_ratio::operator()(row.log_prob - row.old_log_prob, row.advantage);
  }
};

}  // namespace infalign
