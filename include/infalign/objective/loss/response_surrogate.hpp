// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/clipped_surrogate.hpp"

namespace infalign {

/// The clipped surrogate of whole responses, as TRL's RLOO has it: one ratio `ρ = π(y)/π_old(y)`, the product of the tokens' ratios, clipped
/// as PPO clips a token's. `gspo` takes their geometric mean instead. Each token of a response has its loss
/// `-min(ρA, clip(ρ, 1-ε_low, 1+ε_high)·A)`.
///
/// Weights of `1/(R·|y|)` a token make the mean over R responses. The derivative is that of the weighted sum, as for `gspo`: `log π_t` moves
/// `log ρ` by 1, and `|y|` tokens have the loss. For `sequence_policy_gradient`. In `policy_gradient` each token is its own response.
struct response_surrogate : private detail::clipped_ratio {
  static constexpr bool needs_old_log_prob = true;
  using detail::clipped_ratio::epsilon_high;
  using detail::clipped_ratio::epsilon_low;
  using detail::clipped_ratio::limits;

  /// Errors: as those of `clipped_surrogate`.
  response_surrogate(double low, double high, const surrogate_limits& with = {})
      : clipped_ratio("response_surrogate", low, high, with) {}
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const auto length = static_cast<double>(row.sequence_length);
    const loss_value v = clipped_ratio::operator()(row.sequence_log_ratio* length, row.advantage);
    return {v.value, detail::capped_product(length, v.by_log_prob)};
  }
};

}  // namespace infalign
