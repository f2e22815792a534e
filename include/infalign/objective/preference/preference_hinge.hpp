// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/weights.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// The hinge loss of a margin: `loss = max(0, 1 - β·h)`. At the corner the derivative is 0. TRL `hinge`. Source: SLiC-HF, Zhao et al.,
/// arXiv 2305.10425; RSO, Liu et al., arXiv 2309.06657.
struct preference_hinge {
  double beta;

  /// Errors: `domain_error` unless β is positive.
  explicit preference_hinge(kl_weight weight) : beta(detail::positive_beta("preference_hinge", weight.value)) {}
  INFALIGN_HD margin_value operator()(double margin) const {
    const double missing = 1 - detail::capped_product(beta, margin);
    if (missing <= 0) return {0};
    return {detail::capped_product(1, missing), -detail::capped_product(1, beta)};
  }
};

}  // namespace infalign
