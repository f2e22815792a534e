// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// Maximum likelihood with a weight for each response: `loss = -w·log π(y)`, `w` the response's `reward`, 1 if none is given. With the
/// weights of `served_weights` it is the distillation of an inference-time procedure: of best-of-N for `best_of(n)`.
struct weighted_sft {
  INFALIGN_HD response_value operator()(const response_row& y) const {
    return {-detail::capped_product(y.reward, y.log_prob), -detail::capped_product(1, y.reward)};
  }
};

}  // namespace infalign
