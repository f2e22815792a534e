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

/// What one policy wins in each scenario.
struct robust_row {
  std::string transform;         ///< the name of a transform, or `optimal for the prior`, or `minimax`
  double beta;                   ///< the β at which its KL is the budget
  std::vector<double> win_rate;  ///< in each scenario
  std::vector<double> regret;    ///< win rate of the scenario's own optimum, less this policy's
  double expected_win_rate;      ///< under the prior
  double worst_regret;
};

struct robust_plan_table {
  std::vector<double> best_win_rate;  ///< of each scenario's own optimum
  std::vector<robust_row> rows;       ///< sorted by worst regret, the smallest first
  /// A lower bound: no transform has a smaller worst regret, provided that W is concave in every scenario (see `proof`).
  double least_worst_regret;
  optimality proof;
  /// The prior under which that bound was found. Its optimum is the row `minimax`, or close to it.
  std::vector<double> least_favourable_prior;
  /// The transform of the row `minimax`, to train with at its β.
  optimal_transform minimax;
};

/// Compares single transforms for several scenarios at one KL budget. A scenario is a pair of procedures with its prior
/// probability, for example best-of-2 or best-of-8 with ½ each. The regret of a transform in a scenario is the win rate that
/// the scenario's own optimum at the same KL has more. The rows are every transform of `transforms`, the optimum for the prior,
/// and `minimax`, the one of smallest worst regret.
///
/// W is linear in the scenarios, so the optimum for a prior is the optimum of a mixture:
/// `Φ*(v) = -∫_v^1 Σ p_i·g_i(F)·g_i^base du`. The minimax transform is the optimum for the least favourable prior, which is
/// searched by multiplicative weights on the regrets. If W is concave, the expected regret of a prior's own optimum is a lower
/// bound on any transform's worst regret. The table therefore says how far from the smallest worst regret `minimax` can be at
/// most. The search ends at a gap of 1e-4 or after 60 priors.
///
/// Transforms that cannot reach the KL are left out. Errors: those of `matchup::mixture`; `domain_error` if a scenario or a
/// mixture has no optimum at the budget. Cost: up to 60 optima at given KL, each about 5 ms. Source: derived.
[[nodiscard]] robust_plan_table robust_plan(const std::vector<matchup::outcome>& scenarios, kl_budget budget,
                                            const std::vector<any_transform>& transforms = customary_transforms());

}  // namespace infalign

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/robust_plan.hpp"
#endif
