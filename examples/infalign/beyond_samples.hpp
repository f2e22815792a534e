// SPDX-License-Identifier: Apache-2.0
/// \file
/// Success rates at more attempts than were sampled, from a table of passes.
#pragma once

#include <vector>

#include "infalign/evaluation/extrapolate.hpp"
#include "reward_table.hpp"

namespace command {

/// A success rate beyond the samples, by the two models.
struct beyond {
  double attempts;
  infalign::extrapolated_rate beta, power;
};

inline bool is_pass(double reward) {
  return reward == 0 || reward == 1;
}

/// The samples of the prompt that has the fewest.
infalign::index_t fewest(const reward_table& table);

/// At each of the targets. The power law, which needs four points of the curve, is NaN where there are fewer, or a target is among them.
/// Throws `failure` for rewards other than 0 and 1.
std::vector<beyond> extrapolated(const reward_table& policy, const std::vector<double>& targets);

}  // namespace command
