// SPDX-License-Identifier: Apache-2.0
/// \file
/// All rewards of a file in memory, prompt by prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infalign/core/views.hpp"
#include "prompt_index.hpp"
#include "record_options.hpp"

namespace command {

/// The rewards are `double`, because they are compared for equality with those of another file: two decimal fractions that differ may
/// be the same `float`. Records of one prompt belong together, wherever they are in the file.
struct reward_table {
  std::string name;             ///< of the file
  prompt_index prompts;         ///< in the order of the file
  std::vector<double> rewards;  ///< in the order of prompts, then of the file
  std::vector<infalign::index_t> offsets;
  std::vector<std::uint64_t> first_line;    ///< where a prompt is first seen
  std::vector<infalign::index_t> clusters;  ///< of the prompts, by number; empty if they are not read
  std::vector<infalign::index_t> strata;    ///< likewise
  prompt_index cluster_names, stratum_names;
  std::vector<std::uint32_t> answers;  ///< of the rewards, by number; empty if they are not read
  prompt_index answer_texts;           ///< as JSON
  std::uint64_t missing = 0;           ///< rewards that are not in it because they are missing in the file

  [[nodiscard]] infalign::ragged<const double> groups() const { return {rewards, offsets}; }
  [[nodiscard]] infalign::index_t count(std::size_t prompt) const { return offsets[prompt + 1] - offsets[prompt]; }
};

/// Reads a whole file. Throws `failure`, also if there is no record in it. A prompt of which all rewards are missing has none.
reward_table read_rewards(const std::string& path, const record_options& options);

/// Notes the cluster or stratum of a prompt in `of`. Returns what is wrong where it was in another, and otherwise nothing; `kind` is what
/// the message calls them.
std::string note_mark(const prompt_id& id, const char* kind, const prompt_id& mark, std::uint32_t prompt, prompt_index& marks,
                      std::vector<infalign::index_t>& of);
class record_reader;
/// The same of the record that was read last. Throws `failure` with its place.
void add_mark(const record_reader& in, const char* kind, const prompt_id& mark, std::uint32_t prompt, prompt_index& marks,
              std::vector<infalign::index_t>& of);

/// Writes `{"prompt_id": …, KEY: value}` for every prompt of the table, one record a line.
void write_per_prompt(const std::string& path, const reward_table& table, const char* key, const std::vector<double>& values);

/// The table of these prompts alone, in this order.
reward_table subset(const reward_table& table, const std::vector<std::uint32_t>& prompts);

}  // namespace command
