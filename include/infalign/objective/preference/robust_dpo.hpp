// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/preference/dpo.hpp"

namespace infalign {

/// Robust DPO: `loss = [-(1-ε)·log σ(β·h) + ε·log σ(-β·h)]/(1-2ε)`. Its expectation over preferences of which a share ε is flipped is the
/// DPO loss without flips. TRL `robust`. Source: Ray Chowdhury et al., arXiv 2403.00409.
struct robust_dpo {
  double beta;
  double flipped;

  /// Errors: `domain_error` unless β is positive and ε in [0, ½).
  robust_dpo(kl_weight weight, double flipped_share)
      : beta(detail::positive_beta("robust_dpo", weight.value)), flipped(flipped_share) {
    expects<domain_error>(flipped >= 0 && flipped < 0.5, "robust_dpo", "flipped is ", flipped, ", must be in [0, 0.5)");
  }
  INFALIGN_HD margin_value operator()(double margin) const {
    const double x = detail::capped_product(beta, margin), kept = (1 - flipped) / (1 - 2 * flipped),
                 taken = flipped / (1 - 2 * flipped);
    const double value =
        detail::capped_product(kept, detail::softplus(-x)) - detail::capped_product(taken, detail::softplus(x));
    return {detail::capped_product(1, value),
            -detail::capped_product(beta, kept * detail::sigmoid(-x) + taken * detail::sigmoid(x))};
  }
};

}  // namespace infalign
