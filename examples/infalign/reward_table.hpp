// SPDX-License-Identifier: Apache-2.0
/// \file
/// All rewards of a file in memory, prompt by prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infalign/core/views.hpp"
#include "prompt_index.hpp"

namespace command {

/// Rewards take 8 bytes each: comparing with what another file holds has to be exact, and files hold decimal fractions that no
/// `float` has. Records of one prompt, wherever they are in the file, belong together.
struct reward_table {
  std::string name;             ///< of the file
  prompt_index prompts;         ///< in the order of the file
  std::vector<double> rewards;  ///< in the order of prompts, then of the file
  std::vector<infalign::index_t> offsets;
  std::vector<std::uint64_t> first_line;  ///< where a prompt is first seen

  [[nodiscard]] infalign::ragged<const double> groups() const { return {rewards, offsets}; }
  [[nodiscard]] infalign::index_t count(std::size_t prompt) const { return offsets[prompt + 1] - offsets[prompt]; }
};

/// Reads a whole file. Throws `failure`, also if there is no record in it.
reward_table read_rewards(const std::string& path);

}  // namespace command
