// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/preference/dpo.hpp"

namespace infalign {

/// Conservative DPO, for preferences of which a share ε is flipped: `loss = -(1-ε)·log σ(β·h) - ε·log σ(-β·h)`. It is least at the margin
/// at which `σ(β·h) = 1 - ε`. OpenRLHF's DPO with `label_smoothing`. Source: Mitchell, A note on DPO with noisy preferences, 2023.
struct conservative_dpo {
  double beta;
  double flipped;

  /// Errors: `domain_error` unless β is positive and ε in [0, 1].
  conservative_dpo(kl_weight weight, double flipped_share)
      : beta(detail::positive_beta("conservative_dpo", weight.value)), flipped(flipped_share) {
    expects<domain_error>(flipped >= 0 && flipped <= 1, "conservative_dpo", "flipped is ", flipped, ", must be in [0, 1]");
  }
  INFALIGN_HD margin_value operator()(double margin) const {
    const double x = detail::capped_product(beta, margin);
    return {detail::capped_product(1, (1 - flipped) * detail::softplus(-x) + flipped * detail::softplus(x)),
            detail::capped_product(beta, flipped * detail::sigmoid(x) - (1 - flipped) * detail::sigmoid(-x))};
  }
};

}  // namespace infalign
