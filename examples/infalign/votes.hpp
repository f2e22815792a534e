// SPDX-License-Identifier: Apache-2.0
/// \file
/// How often each answer was given, and which one is right.
#pragma once

#include <cstddef>
#include <vector>

#include "infalign/core/config.hpp"
#include "reward_table.hpp"

namespace command {

struct votes {
  std::vector<infalign::index_t> counts;  ///< of every answer, in the order of the file
  infalign::index_t correct = -1;         ///< the one with rewards of 1; -1 if none is right
};

/// Of a prompt whose rewards are 0 and 1. Throws `failure` where the same answer has both, or two answers are right.
votes count_votes(const reward_table& table, std::size_t prompt);

}  // namespace command
