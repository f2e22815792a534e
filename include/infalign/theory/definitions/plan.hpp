// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/theory/detail/tilt_family.hpp"
#include "infalign/theory/plan.hpp"

namespace infalign {

INFALIGN_INLINE std::vector<any_transform> customary_transforms() {
  return {identity(), logarithm(), exponential(5), exponential(10), exponential(-5), exponential(-10)};
}

namespace detail {

INFALIGN_INLINE void rank(std::vector<plan_row>& rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const plan_row& a, const plan_row& b) {
    if (!a.reached || !b.reached) return a.reached.has_value() && !b.reached.has_value();
    return std::round(a.price * 1e10) < std::round(b.price * 1e10);
  });
}
/// `best` is the optimum's `W - β·KL`, if an optimum was found.
INFALIGN_INLINE plan_row row_of(std::string name, std::optional<tradeoff_point> reached, double largest_kl,
                                std::optional<double> best, double beta) {
  const double price =
      reached ? std::max(0.0, best.value_or(1) - (reached->inference_win_rate - beta * reached->kl)) : std::nan("");
  return {std::move(name), reached, largest_kl, price, !best};
}
INFALIGN_INLINE std::optional<optimal_transform> optimal_at_beta(const matchup& played, kl_weight beta) {
  try {
    return optimal_transform(played, beta);
  } catch (const optimum_not_found&) {
    return std::nullopt;
  }
}

/// Fills in what is recommended.
INFALIGN_INLINE void recommend(plan_table& plan, double forgo) {
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

INFALIGN_INLINE plan_table plan(const matchup& played, const std::vector<kl_budget>& budgets,
                                const std::vector<any_transform>& transforms, double forgo) {
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

INFALIGN_INLINE plan_table plan(const matchup& played, kl_weight beta, const std::vector<any_transform>& transforms,
                                double forgo) {
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
