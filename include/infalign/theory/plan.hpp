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
  /// What the optimum has more of what is maximised: of the win rate at the same KL, or of `W - β·KL` at the same β. NaN where
  /// nothing is reached.
  double price;
  /// Where no optimum was found (out of reach of `optimal_at_kl`, or `optimum_not_found`): it counts as a win rate of 1 at no KL,
  /// and the price is at most the one given.
  bool price_is_bound;
};

/// All transforms at one KL budget, or at one β.
struct plan_section {
  double wanted;  ///< the KL, or the β
  /// By price to ten digits, the best first; what does not reach the KL comes last. Equals stand in the order in which they were
  /// given, the optimum after them.
  std::vector<plan_row> rows;
};

struct plan_table {
  std::vector<plan_section> sections;
  /// The customary transform whose largest price over all sections is the smallest, if that is at most what a plan may forgo;
  /// otherwise `optimal`. Where the optimum was not found in every section, the customary transform of the smallest largest price
  /// of those that reach every section, whatever it forgoes; empty if there is none.
  std::string recommended;
  /// That largest price; 0 for the optimum, NaN if nothing is recommended.
  double price;
  /// What is known of the optima: `proved_global` if it is of each.
  optimality proof;
};

/// Every transform, and the optimum, at each KL budget: β, KL, inference-time and standard win rate, ranked. `forgo` is the win
/// rate that one would give up to stay with a transform in closed form.
///
/// Cost: about 1 ms a transform and budget. Errors: `shape_error` without a budget; `domain_error` for `forgo` outside [0, 1].
/// Source: derived; the transforms are those of InfAlign (arXiv 2412.19792).
[[nodiscard]] plan_table plan(const matchup& played, const std::vector<kl_budget>& budgets,
                              const std::vector<any_transform>& transforms = customary_transforms(), double forgo = 1e-3);

/// The same at one β for all, ranked by `W - β·KL`: the KL then differs from row to row. Where the
/// optimum is not found its row is not reached, and the others stay. Errors: `domain_error` unless `β > 0`.
[[nodiscard]] plan_table plan(const matchup& played, kl_weight beta,
                              const std::vector<any_transform>& transforms = customary_transforms(), double forgo = 1e-3);

}  // namespace infalign

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/plan.hpp"
#endif
