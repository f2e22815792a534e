// SPDX-License-Identifier: Apache-2.0
/// \file
/// What to buy more of, prompts or samples of each: which of the two the error comes from.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "estimand.hpp"
#include "infalign/statistics/estimate.hpp"
#include "json_text.hpp"
#include "reward_table.hpp"

namespace command {

/// The variance of a prompt's estimate in its two parts.
struct variance_parts {
  std::size_t prompts;  ///< that have samples enough to tell
  double between;       ///< what prompts differ by, 0 if that is negative
  double sampling;      ///< by the samples that a prompt has

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

}  // namespace command
