// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/clipped_surrogate.hpp"

namespace infalign {

/// GSPO: one ratio for a whole response, `s = exp(mean_t(log π - log π_old))`, clipped as PPO clips a token's. Each token of a response
/// has the loss `-min(s·A, clip(s, 1-ε_low, 1+ε_high)·A)` of the response. Source: Zheng et al., arXiv 2507.18071.
///
/// What weights the tokens of a response `y` get by `token_data::weighted_by`, all the same, makes the objective:
///
/// | weight of a token | sum over a response                 | objective |
/// |-------------------|-------------------------------------|-----------|
/// | `1/(R·|y|)`       | the loss of the response, over `R`  | GSPO of `R` responses |
/// | `1/R`             | that times the length               | LUSPO, arXiv 2602.05261 |
///
/// Without weights, divide the advantages by the length for GSPO: the loss is proportional to them.
///
/// The derivative is that of the weighted sum: `log π_t` moves `log s` by `1/|y|`, and `|y|` tokens have the loss. TRL writes
/// `s = exp(mean_t)`, verl `s·exp(log π - sg(log π))`; for equal weights in a response that is the same. With an advantage for each token
/// it is the paper's GSPO-token. verl clamps `log s` from above: `gspo(ε_low, ε_high, {.log_ratio = {.high = 10}})`.
///
/// For `sequence_policy_gradient`, which knows responses. In `policy_gradient` each token is its own response.
struct gspo : private detail::clipped_ratio {
  static constexpr bool needs_old_log_prob = true;
  using detail::clipped_ratio::epsilon_high;
  using detail::clipped_ratio::epsilon_low;
  using detail::clipped_ratio::limits;

  /// Errors: as those of `clipped_surrogate`.
  gspo(double low, double high, const surrogate_limits& with = {}) : clipped_ratio("gspo", low, high, with) {}
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    return clipped_ratio::operator()(row.sequence_log_ratio, row.advantage);
  }
};

}  // namespace infalign
