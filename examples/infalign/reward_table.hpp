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

/// The rewards are `double`, because they are compared for equality with those of another file: two decimal fractions that differ may
/// be the same `float`. Records of one prompt belong together, wherever they are in the file.
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
