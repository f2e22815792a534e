// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which transform to train with, at which β, and what to expect of it, before anything is trained.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
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
[[nodiscard]] inline std::vector<any_transform> customary_transforms() {
  return {identity(), logarithm(), exponential(5), exponential(10), exponential(-5), exponential(-10)};
}

/// What one transform reaches in a plan.
struct plan_row {
  std::string transform;                  ///< its name, `optimal` for the optimum
  std::optional<tradeoff_point> reached;  ///< none where no β gives it the wanted KL
  double largest_kl;                      ///< what `β -> 0` leads to; infinite unless the transform has a flat top
  /// How much more the optimum reaches: in win rate at the same KL, or in `W - β·KL` at the same β. For example, 0.02 at a KL
  /// budget means that this transform gives away two points of win rate. NaN if the transform does not reach the KL.
  double price;
  /// Whether `price` is only an upper bound, because no optimum was found (`optimal_at_kl` gave none, or `optimum_not_found` was
  /// thrown). The optimum then counts as a win rate of 1 at a KL of 0, which nothing exceeds.
  bool price_is_bound;
};

/// All transforms at one KL budget, or at one β.
struct plan_section {
  double wanted;  ///< the KL, or the β
  /// Sorted by price, rounded to ten decimals, the lowest first. Transforms that do not reach the KL come last. Rows of equal price
  /// keep the order in which the transforms were given, followed by the optimum.
  std::vector<plan_row> rows;
};

struct plan_table {
  std::vector<plan_section> sections;
  /// What to train with. Each given transform is judged by its largest price over all sections. The one with the smallest is
  /// recommended if that price is at most `forgo`; otherwise `optimal` is. If some section has no optimum, `forgo` does not count:
  /// the best transform that reaches every section is recommended, or none (an empty name).
  std::string recommended;
  /// The largest price of what is recommended: 0 for the optimum, NaN if nothing is recommended.
  double price;
  /// `proved_global` if that is known of the optimum of every section.
  optimality proof;
};

namespace detail {

inline void rank(std::vector<plan_row>& rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const plan_row& a, const plan_row& b) {
    if (!a.reached || !b.reached) return a.reached.has_value() && !b.reached.has_value();
    return std::round(a.price * 1e10) < std::round(b.price * 1e10);
  });
}
/// `best` is the optimum's `W - β·KL`, if an optimum was found.
inline plan_row row_of(std::string name, std::optional<tradeoff_point> reached, double largest_kl, std::optional<double> best,
                       double beta) {
  const double price =
      reached ? std::max(0.0, best.value_or(1) - (reached->inference_win_rate - beta * reached->kl)) : std::nan("");
  return {std::move(name), reached, largest_kl, price, !best};
}
inline std::optional<optimal_transform> optimal_at_beta(const matchup& played, kl_weight beta) {
  try {
    return optimal_transform(played, beta);
  } catch (const optimum_not_found&) {
    return std::nullopt;
  }
}

/// Fills in what is recommended.
inline void recommend(plan_table& plan, double forgo) {
  const bool optimum = std::all_of(plan.sections.begin(), plan.sections.end(),
                                   [](const plan_section& section) { return !section.rows.front().price_is_bound; });
  plan.recommended = optimum ? "optimal" : "";
  plan.price = optimum ? 0 : std::nan("");
  if (!optimum) forgo = std::numeric_limits<double>::max();
  double least = infinity<double>;
  for (const plan_row& candidate : plan.sections.front().rows) {
    if (candidate.transform == "optimal") continue;
    double worst = 0;
    for (const plan_section& section : plan.sections) {
      const auto row = std::find_if(section.rows.begin(), section.rows.end(),
                                    [&](const plan_row& r) { return r.transform == candidate.transform; });
      worst = std::max(worst, row->reached ? row->price : infinity<double>);
    }
    if (worst > forgo || worst >= least) continue;
    least = worst;
    plan.recommended = candidate.transform;
    plan.price = worst;
  }
}

}  // namespace detail

/// Ranks transforms, and the optimum, at each KL budget, with the β, KL, inference-time and standard win rate of each. `forgo` is
/// the win rate that you would give up in order to train with a transform in closed form instead of the optimum's table.
///
/// Cost: about 1 ms a transform and budget. Errors: `shape_error` without a budget; `domain_error` for `forgo` outside [0, 1].
/// Source: derived; the transforms are those of InfAlign (arXiv 2412.19792).
[[nodiscard]] inline plan_table plan(const matchup& played, const std::vector<kl_budget>& budgets,
                                     const std::vector<any_transform>& transforms = customary_transforms(),
                                     double forgo = 1e-3) {
  expects<shape_error>(!budgets.empty(), "plan", "budgets is empty");
  expects<domain_error>(forgo >= 0 && forgo <= 1, "plan", "forgo is ", forgo, ", must be in [0, 1]");
  plan_table plan{{}, {}, 0, optimality::proved_global};
  std::vector<std::optional<double>> best;
  for (const kl_budget& budget : budgets) {
    const std::optional<optimal_transform> optimum = optimal_at_kl(played, budget);
    const auto reached = optimum ? std::optional(detail::point_of(*optimum)) : std::nullopt;
    best.push_back(reached ? std::optional(reached->inference_win_rate) : std::nullopt);
    plan.sections.push_back({budget.value, {}});
    if (!optimum || optimum->proof() != optimality::proved_global) plan.proof = optimality::best_stationary_point;
    plan.sections.back().rows.push_back(detail::row_of("optimal", reached, infinity<double>, best.back(), 0));
  }
  for (const any_transform& transform : transforms) {
    const double largest = detail::tilt_family(transform).largest_kl();
    const std::vector<std::optional<tradeoff_point>> points = frontier(played, transform, budgets);
    for (std::size_t i = 0; i < points.size(); ++i)
      plan.sections[i].rows.insert(plan.sections[i].rows.end() - 1,
                                   detail::row_of(transform.name(), points[i], largest, best[i], 0));
  }
  for (plan_section& section : plan.sections) detail::rank(section.rows);
  detail::recommend(plan, forgo);
  return plan;
}

/// Ranks transforms at one β, by `W - β·KL`; the KL then differs from row to row. If the optimum is not found, its row reaches
/// nothing and the other rows stay. Errors: `domain_error` unless `β > 0`, or for `forgo` outside [0, 1].
[[nodiscard]] inline plan_table plan(const matchup& played, kl_weight beta,
                                     const std::vector<any_transform>& transforms = customary_transforms(),
                                     double forgo = 1e-3) {
  expects<domain_error>(forgo >= 0 && forgo <= 1, "plan", "forgo is ", forgo, ", must be in [0, 1]");
  expects<domain_error>(beta.value > 0, "plan", "beta is ", beta.value, ", must be positive");
  const std::optional<optimal_transform> optimum = detail::optimal_at_beta(played, beta);
  const auto reached = optimum ? std::optional(detail::point_of(*optimum)) : std::nullopt;
  const auto best = optimum ? std::optional(optimum->win_rate() - beta.value * optimum->kl()) : std::nullopt;
  plan_table plan{{{beta.value, {}}}, {}, 0, optimum ? optimum->proof() : optimality::best_stationary_point};
  std::vector<plan_row>& rows = plan.sections.front().rows;
  for (const any_transform& transform : transforms) {
    detail::tilt_family family(transform);
    const tradeoff_point point = detail::point_on(family.curve(beta.value), beta.value, played);
    rows.push_back(detail::row_of(transform.name(), point, family.largest_kl(), best, beta.value));
  }
  rows.push_back(detail::row_of("optimal", reached, infinity<double>, best, beta.value));
  detail::rank(rows);
  detail::recommend(plan, forgo);
  return plan;
}

}  // namespace infalign
