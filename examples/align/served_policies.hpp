// SPDX-License-Identifier: Apache-2.0
/// \file
/// What policies are worth, and what they cost, when inference-time procedures are run on them: played on the held-out prompts.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "infalign/serving.hpp"
#include "infalign/statistics/estimate.hpp"
#include "language_model.hpp"
#include "prefix_scorer.hpp"
#include "random_stream.hpp"
#include "scenario.hpp"
#include "schedule.hpp"

namespace align {

/// A prefix scorer as it was learned.
struct learned_scorer {
  language_model<float> values;
  scorer_error off;
};
learned_scorer learn_prefix_scorer(const scenario& from, const serving_plan& plan, random_stream random);

/// The methods whose policies are served, by the first objective, and at which of its KL weights: that for a KL of about 0.7.
inline constexpr const char* served_methods[] = {"raw", "identity", "exponential:10"};
inline constexpr std::size_t served_beta = 1;

struct served_policy {
  std::string name;    ///< of the method, and what it was trained by
  std::string method;  ///< "base" is none
  double beta;
  language_model<float> policy;
};

/// A procedure that is run: its name, and half a line on what it does.
struct served_procedure {
  const char* name;
  const char* what;
};
inline constexpr served_procedure served_procedures[] = {
    {"plain sample", "one sample"},
    {"best of 4", "of four samples the one with the largest reward"},
    {"worst of 4", "of four samples the one with the smallest reward"},
    {"best of Poisson", "the best of 1 + Poisson(3) samples"},
    {"soft best of 4", "of four samples one, with probability proportional to e^(u/0.2), u being its calibrated reward"},
    {"rewind, repeat", "samples until one has u > 0.8, four at most; then the last"},
    {"blocks, 4 by 2", "two letters at a time, of four continuations the one with the largest prefix score"},
    {"tilted tokens", "letter by letter, with probabilities times e^(prefix score/0.21)"}};
inline constexpr std::size_t n_served_procedures = std::size(served_procedures);

/// What one procedure served.
struct served_rewards {
  reward_table rewards;
  infalign::serving_cost cost;
  /// Each prompt's win rate against one plain sample of the base policy, as foretold by the procedure's formula from plain samples of
  /// this policy; none where there is no formula.
  std::vector<double> foretold;
  /// The same, as theory foretells it of the optimal policy for the method's transform and KL weight, before any training; none where
  /// there is no formula or no transform.
  std::optional<double> optimum{};
};

/// Serves `policy` by every procedure, in the order of `served_procedures`.
std::vector<served_rewards> serve_policy(const served_policy& of, const scenario& from, const learned_scorer& scorer,
                                         const serving_plan& plan, random_stream random);

/// One procedure on one policy. Win rates are against one plain sample of the base policy, which makes them mean calibrated rewards too.
struct served_result {
  std::string policy;
  double beta = 0;
  std::size_t procedure = 0;  ///< of `served_procedures`
  infalign::estimate win_rate{};
  std::optional<infalign::estimate> foretold{};       ///< by formula, from plain samples of the policy
  std::optional<infalign::estimate> difference{};     ///< win_rate - foretold, paired over prompts
  std::optional<double> optimum{};                    ///< by formula, for the optimal policy in place of the trained one
  std::optional<infalign::estimate> same_win_rate{};  ///< against the base policy served by the same procedure
  double samples = 0;  ///< that the model drew for a response; of controlled decoding blocks, or tokens
  double scores = 0;   ///< of the reward, or of the prefix scorer, for a response
  double tokens = 0;   ///< that the model generated for a response

  /// The difference in standard errors.
  [[nodiscard]] double deviation() const { return difference->value / difference->standard_error; }
};

/// Every procedure on `policy` against `base`.
std::vector<served_result> summarize_served(const served_policy& of, const std::vector<served_rewards>& policy,
                                            const std::vector<served_rewards>& base, const scenario& from);

}  // namespace align
