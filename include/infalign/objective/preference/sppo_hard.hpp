// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/weights.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// SPPO for preferences that are certain: `loss = (h_chosen - 1/(2β))² + (h_rejected + 1/(2β))²`, with the log-ratio `h` of either response
/// to the base policy. TRL `sppo_hard`. Source: Wu et al., arXiv 2405.00675.
struct sppo_hard {
  static constexpr bool needs_base_log_prob = true;
  double target;  ///< `1/(2β)`

  /// Errors: `domain_error` unless β is positive.
  explicit sppo_hard(kl_weight weight) : target(0.5 / detail::positive_beta("sppo_hard", weight.value)) {}
  INFALIGN_HD pair_value operator()(const response_row& chosen, const response_row& rejected) const {
    const margin_value won = detail::squared_distance(chosen.log_ratio, target);
    const margin_value lost = detail::squared_distance(rejected.log_ratio, -target);
    return {detail::capped_sum(won.value, lost.value), won.by_margin, lost.by_margin};
  }
};

}  // namespace infalign
