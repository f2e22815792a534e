// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which transform to train with, at which β, and what to expect of it, before anything is trained.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/theory/optimal_transform.hpp"
#include "infalign/theory/tradeoff.hpp"
#include "infalign/transform/any_transform.hpp"

namespace infalign {

/// The transforms in common use: identity, logarithm, exponential with t = ±5 and ±10.
[[nodiscard]] std::vector<any_transform> customary_transforms();

/// What one transform reaches in a plan.
struct plan_row {
  std::string transform;  ///< its name, `optimal` for the best policy found (`optimal_within`)
  /// None where no β gives the transform the wanted KL, or where the wanted β is too small for it (see `tilted_density`).
  std::optional<tradeoff_point> reached;
  double largest_kl;  ///< what `β -> 0` leads to; infinite unless the transform has a flat top
  /// How much more is possible: in win rate within the same KL, or in `W - β·KL` at the same β. For example, 0.02 at a KL
  /// budget means that this transform gives away two points of win rate. It is counted from `plan_section::bound`. NaN if the
  /// transform reaches nothing.
  double price;
  /// Whether `price` is only an upper bound, because the row `optimal` does not attain `plan_section::bound`.
  bool price_is_bound;
  /// The β of `reached` for the transform scaled to a range of 1 (`unit_range`), which is what a trainer of rewards between 0 and 1
  /// takes: 0.2413 where β of `exponential:10` is 5315. NaN if the transform is unbounded or reaches nothing.
  double scaled_beta;
};

/// All transforms at one KL budget, or at one β.
struct plan_section {
  double wanted;  ///< the KL, or the β
  /// Sorted by price, rounded to ten decimals, the lowest first. Transforms that do not reach the KL come last. Rows of equal
  /// price keep the order in which the transforms were given, followed by the optimum.
  std::vector<plan_row> rows;
  /// No policy exceeds this win rate within the KL, or this `W - β·KL` at the β: what the optimum has, or the bound of
  /// `optimal_within` where no β has an optimum of that KL, or 1 where nothing better is known.
  double bound;
  /// Whether `bound` is proved. Otherwise it holds if the scan for stationary points has missed none that is better.
  bool bound_proved;
  double gain;  ///< by how much the best row exceeds the base policy, which has a KL of 0
  /// What is known of the row `optimal`: `within_bound` if it does not attain `bound`.
  optimality proof;
};

struct plan_table {
  std::vector<plan_section> sections;
  /// What to train with: the name of a row, or empty. It is a given transform that stays, in every section, within the share
  /// `forgo` of what can be gained of the best row. If there are several, it is the one of the smallest largest price; of those
  /// whose prices are alike to four decimals, the one given first. If there is none, it is `optimal`, provided that no row
  /// exceeds it by more than that in any section. Differences below 1e-8 of what the best row has, or 1e-12, count as rounding.
  std::string recommended;
  /// The largest price of what is recommended: 0 for the optimum, NaN if nothing is recommended.
  double price;
  bool price_is_bound;  ///< whether some price of it is an upper bound only
  optimality proof;     ///< the weakest of all sections
};

/// Ranks transforms, and the optimum, at each KL budget, with the β, KL, inference-time and standard win rate of each. `forgo`
/// is the share of what can be gained that you would give up in order to train with a transform in closed form instead of the
/// optimum's table. What can be gained at a budget is the best row's win rate less that of the base policy. List simple
/// transforms first: where two are as good, the first is recommended.
///
/// Where no β has an optimum of the KL, the row `optimal` is the best policy that `optimal_within` finds, and prices are upper
/// bounds. The recommendation is then the best row, which nothing in the table exceeds; how much more is possible is at most its
/// price.
///
/// Cost: about 1 ms a transform and budget, and what `optimal_within` costs a budget. Errors: `shape_error` without a budget;
/// `domain_error` for `forgo` outside [0, 1]. Source: derived; the transforms are those of InfAlign (arXiv 2412.19792).
[[nodiscard]] plan_table plan(const matchup& played, const std::vector<kl_budget>& budgets,
                              const std::vector<any_transform>& transforms = customary_transforms(), double forgo = 1e-3);

/// Ranks transforms at one β, by `W - β·KL`; the KL then differs from row to row. If the optimum is not found, its row reaches
/// nothing and the other rows stay. Errors: `domain_error` unless `β > 0`, or for `forgo` outside [0, 1].
[[nodiscard]] plan_table plan(const matchup& played, kl_weight beta,
                              const std::vector<any_transform>& transforms = customary_transforms(), double forgo = 1e-3);

}  // namespace infalign

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/plan.hpp"
#endif
