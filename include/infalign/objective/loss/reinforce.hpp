// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// REINFORCE: `loss = -A·log π(a)`. Source: Williams, Machine Learning 8 (1992). With its advantages it is the loss of GPG as well.
struct reinforce {
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    return {-detail::capped_product(row.advantage, row.log_prob), -detail::capped_product(row.advantage, 1)};
  }
};

}  // namespace infalign
