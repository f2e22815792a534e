// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/token_loss.hpp"

namespace infalign {

/// REINFORCE: `loss = -A·log π(a)`. Source: Williams, Machine Learning 8 (1992).
struct reinforce {
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    return {-detail::product(row.advantage, row.log_prob), -row.advantage};
  }
};

}  // namespace infalign
