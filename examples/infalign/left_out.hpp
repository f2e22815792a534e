// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is left out because the user said so, and how it is told.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "infalign/core/views.hpp"
#include "json_text.hpp"
#include "reward_table.hpp"

namespace command {

struct left_out {
  std::uint64_t missing_rewards = 0;
  std::uint64_t short_prompts = 0;
};

/// How many rewards of a prompt are needed in a table.
struct required {
  reward_table* table;
  infalign::index_t rewards;
};

/// Takes the prompts of the first table that have too few rewards in any table out of all of them, and returns how many these
/// were. A prompt that a table does not have is not too short there. Throws `failure` if no prompt is left.
std::uint64_t drop_short_prompts(std::span<const required> all);

/// "missing_rewards" and "short_prompts".
void add_left_out(json_object& to, const left_out& what);
/// A line for people, empty if nothing was left out.
std::string left_out_text(const left_out& what);

}  // namespace command
