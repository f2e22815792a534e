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
  std::string transform;                  ///< its name, `optimal` for the optimum
  std::optional<tradeoff_point> reached;  ///< none where no β gives it the wanted KL
  double largest_kl;                      ///< what `β -> 0` leads to; infinite unless the transform has a flat top
  /// How much more the optimum reaches: in win rate at the same KL, or in `W - β·KL` at the same β. For example, 0.02 at a KL
  /// budget means that this transform gives away two points of win rate. NaN if the transform does not reach the KL.
  double price;
  /// Whether `price` is only an upper bound, because no optimum was found (`optimal_at_kl` gave none, or `optimum_not_found`
  /// was thrown). The optimum then counts as a win rate of 1 at a KL of 0, which nothing exceeds.
  bool price_is_bound;
};

/// All transforms at one KL budget, or at one β.
struct plan_section {
  double wanted;  ///< the KL, or the β
  /// Sorted by price, rounded to ten decimals, the lowest first. Transforms that do not reach the KL come last. Rows of equal
  /// price keep the order in which the transforms were given, followed by the optimum.
  std::vector<plan_row> rows;
};

struct plan_table {
  std::vector<plan_section> sections;
  /// What to train with. Each given transform is judged by its largest price over all sections. The one with the smallest is
  /// recommended if that price is at most `forgo`; otherwise `optimal` is. If some section has no optimum, `forgo` does not
  /// count: the best transform that reaches every section is recommended, or none (an empty name).
  std::string recommended;
  /// The largest price of what is recommended: 0 for the optimum, NaN if nothing is recommended.
  double price;
  /// `proved_global` if that is known of the optimum of every section.
  optimality proof;
};

/// Ranks transforms, and the optimum, at each KL budget, with the β, KL, inference-time and standard win rate of each. `forgo`
/// is the win rate that you would give up in order to train with a transform in closed form instead of the optimum's table.
///
/// Cost: about 1 ms a transform and budget. Errors: `shape_error` without a budget; `domain_error` for `forgo` outside [0, 1].
/// Source: derived; the transforms are those of InfAlign (arXiv 2412.19792).
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
