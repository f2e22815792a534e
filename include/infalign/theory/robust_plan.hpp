// SPDX-License-Identifier: Apache-2.0
/// \file
/// One transform for several procedures: what to train with while the number of samples at inference is not known.
#pragma once

#include <string>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/theory/optimal_transform.hpp"
#include "infalign/theory/plan.hpp"
#include "infalign/theory/tradeoff.hpp"
#include "infalign/transform/any_transform.hpp"

namespace infalign {

/// What one policy wins in every scenario.
struct robust_row {
  std::string transform;         ///< its name; `optimal for the prior`, `minimax`
  double beta;                   ///< at which it has the KL
  std::vector<double> win_rate;  ///< in each scenario
  std::vector<double> regret;    ///< what that scenario's own optimum wins more
  double expected_win_rate;      ///< under the prior
  double worst_regret;
};

struct robust_plan_table {
  std::vector<double> best_win_rate;  ///< of each scenario's own optimum
  std::vector<robust_row> rows;       ///< by worst regret, the smallest first
  /// No transform has a smaller worst regret than this, if W is concave in every scenario (`proof`).
  double least_worst_regret;
  optimality proof;
  /// The mixture of scenarios under which that bound was found: its optimum is the row `minimax`, or near it.
  std::vector<double> least_favourable_prior;
  /// The transform of the row `minimax`, to train with at its β.
  optimal_transform minimax;
};

/// One transform for several scenarios (pairs of procedures, each with its prior probability) at one KL budget: every transform of
/// a set, the optimum for the prior, and the one that minimises the worst regret, each with what it loses in every scenario against
/// that scenario's own optimum at the same KL.
///
/// As W is linear in the scenarios, the optimum for a prior is that of the coupled mixture,
/// `Φ*(v) = -∫_v^1 Σ p_i·g_i(F)·g_i^ref du`. The minimax transform is the optimum for the least favourable prior, found by
/// multiplicative weights on the regrets; with concave W any prior's expected regret under its own optimum is a lower bound, so the
/// result says how far from the least worst regret it can be at most. It stops at a gap of 1e-4 or after 60 priors.
///
/// Transforms that cannot have the KL are left out. Errors: those of `matchup::mixture`; `domain_error` if an optimum is out of
/// reach. Cost: up to 60 optima at given KL, each about 5 ms. Source: derived.
[[nodiscard]] robust_plan_table robust_plan(const std::vector<matchup::outcome>& scenarios, kl_budget budget,
                                            const std::vector<any_transform>& transforms = customary_transforms());

}  // namespace infalign

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/robust_plan.hpp"
#endif
