// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// CISPO: REINFORCE weighted by a clipped ratio that is not differentiated, `loss = -sg(clip(ρ, smallest, largest))·A·log π`. No token
/// loses its gradient. Source: MiniMax-M1, arXiv 2506.13585.
///
/// Trainers write the bounds differently: verl's is `cispo(1 - ε_low, 1 + ε_high, {-20, 20})`, that of TRL and Liger, whose `epsilon_high`
/// is the bound itself, `cispo(0, 5)`.
struct cispo {
  static constexpr bool needs_old_log_prob = true;
  double smallest_ratio;
  double largest_ratio;
  log_ratio_range log_ratio;

  /// Errors: `domain_error` unless `0 <= smallest <= largest < inf`, `largest > 0`, and 0 is in the range of log-ratios.
  cispo(double smallest, double largest, const log_ratio_range& range = {})
      : smallest_ratio(smallest), largest_ratio(largest), log_ratio(range) {
    expects<domain_error>(largest > 0 && largest - largest == 0, "cispo", "largest_ratio is ", largest,
                          ", must be positive and finite");
    expects<domain_error>(smallest >= 0 && smallest <= largest, "cispo", "smallest_ratio is ", smallest, ", must be in [0, ",
                          largest, "]");
    detail::check_range("cispo", range);
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const detail::likelihood_ratio ratio(row.log_prob - row.old_log_prob, log_ratio);
    const double weight = detail::capped_product(row.advantage, detail::clip(ratio.value, smallest_ratio, largest_ratio));
    return {-detail::capped_product(weight, row.log_prob), -weight};
  }
};

}  // namespace infalign
