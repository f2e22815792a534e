// SPDX-License-Identifier: Apache-2.0
/// \file
/// What to buy more of, prompts or samples of each: which of the two the error comes from.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "estimand.hpp"
#include "infalign/statistics/estimate.hpp"
#include "infalign/theory/sampling_plan.hpp"
#include "json_text.hpp"
#include "reward_table.hpp"

namespace CLI {
class App;
}

namespace command {

/// The variance of a prompt's estimate in its two parts.
struct variance_parts {
  std::size_t prompts;  ///< that have samples enough to tell
  double between;       ///< what prompts differ by, 0 if that is negative
  double sampling;      ///< by the samples that a prompt has
  double samples;       ///< that a prompt has: their harmonic mean over prompts, since variances go as 1/samples

  [[nodiscard]] double sampling_share() const;
  /// The standard error of a mean over so many prompts, each with `times` as many samples.
  [[nodiscard]] double standard_error(double prompts, double times) const;
};

/// Means of samples (pass@1, the reward of single samples) by `infalign::variance_split`. Other estimates by those of two random halves
/// of every prompt's samples, which hold the sampling variance to first order; prompts with fewer than twice the samples that are
/// drawn are left out. Throws `failure` where fewer than two prompts are left.
variance_parts split_variance(const estimand& what, const reward_table& policy, const reward_table& reference);

void add_variance(json_object& to, const variance_parts& parts, const infalign::estimate& mean);
std::string variance_text(const variance_parts& parts, const infalign::estimate& mean);

/// What is to be bought, and at which prices.
struct purchase_options {
  std::optional<double> error;  ///< the standard error that is wanted
  std::optional<double> prompt_cost, sample_cost;
  std::optional<infalign::index_t> most_samples;  ///< of a prompt
};

/// `--target-error`, `--prompt-cost`, `--sample-cost` and `--most-samples`.
void add_purchase(CLI::App& to, purchase_options& chosen);
/// Throws `usage_failure` for prices that are none, and for options without what they belong to.
void check(const purchase_options& chosen, bool variance_is_split);
/// `infalign::plan_sampling` with at least so many samples a prompt. Throws `usage_failure` if `--most-samples` is less.
infalign::sampling_plan plan_purchase(const purchase_options& chosen, const variance_parts& parts, infalign::index_t least);
void add_purchase(json_object& to, const purchase_options& chosen, const infalign::sampling_plan& plan);
std::string purchase_text(const purchase_options& chosen, const infalign::sampling_plan& plan);

}  // namespace command
