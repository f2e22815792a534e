// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy losses by their names: those of the papers, and what trainers compute.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels.hpp"

namespace infalign_python {

struct named_loss {
  std::string name;
  loss_kind kind = loss_kind::reinforce;
  double low = 0;
  double high = 0;
  infalign::surrogate_limits limits{};
  infalign::aggregation how = infalign::aggregation::token_mean;
  infalign::counted_responses counted = infalign::counted_responses::nonempty;
  bool by_size = false;           ///< the sum is divided by responses times length, as Dr. GRPO does
  const char* trainer = nullptr;  ///< what it mirrors, for a preset
  bool has_kl = true;             ///< whether the trainer's own KL term is offered
  estimated_kl kl{};
};

/// Errors: `ValueError` with the names there are.
const named_loss& loss_named(std::string_view name);
/// All of them, presets behind the others.
const std::vector<named_loss>& named_losses();

}  // namespace infalign_python
