// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/weights.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// DPO: `loss = -log σ(β·h)`, with the margin `h` of the two log-ratios to the base policy. Its derivative by `h` is `-β·σ(-β·h)`. TRL
/// `sigmoid`. Source: Rafailov et al., arXiv 2305.18290.
struct dpo {
  double beta;

  /// Errors: `domain_error` unless β is positive.
  explicit dpo(kl_weight weight) : beta(detail::positive_beta("dpo", weight.value)) {}
  INFALIGN_HD margin_value operator()(double margin) const {
    const double x = detail::capped_product(beta, margin);
    return {detail::capped_product(1, detail::softplus(-x)), -detail::capped_product(beta, detail::sigmoid(-x))};
  }
};

}  // namespace infalign
