// SPDX-License-Identifier: Apache-2.0
/// \file
/// Two rewards of every sample of a file, prompt by prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infalign/core/views.hpp"
#include "prompt_index.hpp"
#include "record_options.hpp"

namespace command {

struct paired_table {
  std::string name;
  prompt_index prompts;
  std::vector<double> first, second;  ///< in the order of prompts, then of the file
  std::vector<infalign::index_t> offsets;
  std::vector<infalign::index_t> clusters;  ///< of the prompts; empty if they are not read
  std::uint64_t missing = 0;                ///< samples that are left out because either reward is missing
  std::uint64_t short_prompts = 0;          ///< prompts that `drop_short` took out

  [[nodiscard]] infalign::index_t count(std::size_t prompt) const { return offsets[prompt + 1] - offsets[prompt]; }
  /// The cluster of every sample, which is its prompt where clusters are not read.
  [[nodiscard]] std::vector<infalign::index_t> sample_clusters() const;
  /// Takes out the prompts with fewer samples.
  void drop_short(infalign::index_t samples);
};

/// Reads a file twice, once for each field. Both must be there together: a list of as many numbers, or a number each. Throws `failure`.
paired_table read_pairs(const std::string& path, const record_options& options, const std::string& first_field,
                        const std::string& second_field);

}  // namespace command
