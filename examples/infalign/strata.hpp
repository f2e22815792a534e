// SPDX-License-Identifier: Apache-2.0
/// \file
/// Means over strata: kinds of prompts with a weight each, in place of means in which every prompt counts the same.
#pragma once

#include <string>
#include <vector>

#include "infalign/statistics/estimate.hpp"
#include "infalign/statistics/summary.hpp"
#include "json_text.hpp"
#include "reward_table.hpp"

namespace CLI {
class App;
}

namespace command {

struct stratum_options {
  std::vector<std::string> weights;  ///< NAME=WEIGHT; empty for the shares of prompts
};

/// Strata with their weights, wherever their prompts are.
struct weighted_strata {
  std::vector<std::string> names;  ///< as JSON
  std::vector<double> weights;     ///< which sum to 1

  weighted_strata() = default;
  /// Of strata with so many prompts. Throws `failure`, with `file` before it, for a stratum without a weight, or a weight whose stratum has
  /// no prompt, and `usage_failure` for weights that are none or sum to 0.
  weighted_strata(const prompt_index& names, const std::vector<infalign::index_t>& prompts, const stratum_options& chosen,
                  const std::string& file);
  /// Adds "strata" and, with the mean of each, "by_stratum".
  void add(json_object& to, const char* key, const std::vector<infalign::summary>& of) const;
};

/// The strata of a table's prompts, in the order of the file.
class strata {
 public:
  /// None where the table has none. Throws as `weighted_strata` does.
  strata(const reward_table& table, const stratum_options& chosen);

  [[nodiscard]] bool empty() const { return of_prompt_.empty(); }
  [[nodiscard]] std::size_t size() const { return all_.names.size(); }
  /// `infalign::stratified_mean` of the prompts' values; where there are no strata, `mean_over_prompts`, by clusters if they are named.
  [[nodiscard]] infalign::estimate mean(const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                        infalign::quantity_range range) const;
  /// The values as they enter the mean: their mean over prompts is that over strata.
  [[nodiscard]] std::vector<double> weighted(const std::vector<double>& values) const;
  /// Nothing if there are none.
  void add(json_object& to, const char* key, const std::vector<double>& values) const;
  /// A table for people, empty if there are none.
  [[nodiscard]] std::string text(const std::string& title, const std::vector<double>& values, infalign::quantity_range range,
                                 double level) const;

 private:
  std::vector<infalign::index_t> of_prompt_;
  weighted_strata all_;
};

/// Of every stratum of the table, the summary of its prompts' values.
std::vector<infalign::summary> stratum_summaries(const std::vector<double>& values,
                                                 const std::vector<infalign::index_t>& strata, std::size_t how_many);

/// `--stratum` and `--stratum-weight`.
void add_strata(CLI::App& to, record_options& records, stratum_options& chosen);
/// Throws `usage_failure` for options that make no sense together.
void check(const stratum_options& chosen, const record_options& records);

/// What the options mean, for the end of a help text.
std::string strata_help();

}  // namespace command
