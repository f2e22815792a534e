// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/theory/detail/shooting.hpp"
#include "infalign/theory/detail/tilt_family.hpp"
#include "infalign/theory/plan.hpp"
#include "infalign/transform/unit_range.hpp"

namespace infalign {

INFALIGN_INLINE std::vector<any_transform> customary_transforms() {
  return {identity(), logarithm(), exponential(5), exponential(10), exponential(-5), exponential(-10)};
}

namespace detail {

/// The β of a row for its transform scaled to a range of 1, NaN without one.
template <class Transform>
double unit_range_beta(const Transform& transform, const std::optional<tradeoff_point>& reached) {
  const double range = value_range(transform);
  if (!reached || !(range > 0) || range == infinity<double>) return std::nan("");
  return reached->beta / range;
}
INFALIGN_INLINE plan_row row_of(const any_transform& transform, const std::optional<tradeoff_point>& reached,
                                double largest_kl) {
  return {transform.name(), reached, largest_kl, 0, false, unit_range_beta(transform, reached)};
}
INFALIGN_INLINE plan_row row_of(const std::optional<optimal_transform>& best) {
  if (!best) return {"optimal", std::nullopt, infinity<double>, 0, false, std::nan("")};
  const auto reached = std::optional(point_of(*best));
  return {"optimal", reached, infinity<double>, 0, false, unit_range_beta(*best, reached)};
}

INFALIGN_INLINE void rank(std::vector<plan_row>& rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const plan_row& a, const plan_row& b) {
    if (!a.reached || !b.reached) return a.reached.has_value() && !b.reached.has_value();
    return std::round(a.price * 1e10) < std::round(b.price * 1e10);
  });
}
/// What a row has of what is maximised: win rate, less `β·KL` at a β.
INFALIGN_INLINE double value_of(const tradeoff_point& point, double beta) {
  return point.inference_win_rate - beta * point.kl;
}

/// Fills in prices and the gain, once all rows are there and the bound is known. β is 0 at a KL budget.
INFALIGN_INLINE void settle(plan_section& section, const matchup& played, double beta) {
  const density_curve base(chart{chart::kind::distance}, {curve_panel{-1, 0}});
  double best = base.win_rate(played);
  section.gain = -best;
  for (plan_row& row : section.rows) {
    row.price_is_bound = section.proof == optimality::within_bound;
    row.price = std::nan("");
    if (!row.reached) continue;
    row.price = std::max(0.0, section.bound - value_of(*row.reached, beta));
    best = std::max(best, value_of(*row.reached, beta));
  }
  section.gain += best;
  rank(section.rows);
}
INFALIGN_INLINE std::optional<optimal_transform> optimal_at_beta(const matchup& played, kl_weight beta) {
  try {
    return optimal_transform(played, beta);
  } catch (const optimum_not_found&) {
    return std::nullopt;
  }
}

/// Whether a row stays within the share `forgo` of what can be gained of the best row, in every section; its largest price.
INFALIGN_INLINE std::optional<double> price_if_close(const plan_table& plan, const std::string& name, double forgo) {
  double worst = 0;
  for (const plan_section& section : plan.sections) {
    const auto row =
        std::find_if(section.rows.begin(), section.rows.end(), [&](const plan_row& r) { return r.transform == name; });
    if (!row->reached) return std::nullopt;
    const double least = section.rows.front().price;
    const double rounding = std::max(1e-8 * std::abs(section.bound - least), 1e-12);
    if (row->price - least > std::max(forgo * section.gain, rounding)) return std::nullopt;
    worst = std::max(worst, row->price);
  }
  return worst;
}

/// Fills in what is recommended, and the summary of all sections.
INFALIGN_INLINE void recommend(plan_table& plan, const std::vector<any_transform>& transforms, double forgo) {
  const auto printed = [](double price) { return std::round(price * 1e4); };
  plan.price = std::nan("");
  for (const any_transform& transform : transforms) {
    const std::optional<double> price = price_if_close(plan, transform.name(), forgo);
    if (!price || (!plan.recommended.empty() && printed(*price) >= printed(plan.price))) continue;
    plan.recommended = transform.name();
    plan.price = *price;
  }
  if (plan.recommended.empty())
    if (const std::optional<double> price = price_if_close(plan, "optimal", forgo)) {
      plan.recommended = "optimal";
      plan.price = *price;
    }
  for (const plan_section& section : plan.sections) plan.proof = std::max(plan.proof, section.proof);
  plan.price_is_bound = plan.proof == optimality::within_bound;
}

}  // namespace detail

INFALIGN_INLINE plan_table plan(const matchup& played, const std::vector<kl_budget>& budgets,
                                const std::vector<any_transform>& transforms, double forgo) {
  expects<shape_error>(!budgets.empty(), "plan", "budgets is empty");
  expects<domain_error>(forgo >= 0 && forgo <= 1, "plan", "forgo is ", forgo, ", must be in [0, 1]");
  plan_table plan{{}, {}, 0, false, optimality::proved_global};
  for (const kl_budget& budget : budgets) plan.sections.push_back({budget.value, {}, 1, true, 0, optimality::within_bound});
  for (const any_transform& transform : transforms) {
    const double largest = detail::tilt_family(transform).largest_kl();
    const std::vector<std::optional<tradeoff_point>> points = frontier(played, transform, budgets);
    for (std::size_t i = 0; i < points.size(); ++i)
      plan.sections[i].rows.push_back(detail::row_of(transform, points[i], largest));
  }
  detail::effort effort{detail::effort::at_kls(budgets.size())};
  for (plan_section& section : plan.sections) {
    const budget_optimum best = detail::optimal_within(played, kl_budget(section.wanted), effort);
    section.bound = best.bound;
    section.bound_proved = best.bound_proved;
    section.rows.push_back(detail::row_of(best.found));
    const auto& reached = section.rows.back().reached;
    if (reached && reached->inference_win_rate == best.bound) section.proof = best.found->proof();
    detail::settle(section, played, 0);
  }
  detail::recommend(plan, transforms, forgo);
  return plan;
}

INFALIGN_INLINE plan_table plan(const matchup& played, kl_weight beta, const std::vector<any_transform>& transforms,
                                double forgo) {
  expects<domain_error>(forgo >= 0 && forgo <= 1, "plan", "forgo is ", forgo, ", must be in [0, 1]");
  expects<domain_error>(beta.value > 0, "plan", "beta is ", beta.value, ", must be positive");
  plan_table plan{{{beta.value, {}, 1, true, 0, optimality::within_bound}}, {}, 0, false, optimality::proved_global};
  plan_section& section = plan.sections.front();
  for (const any_transform& transform : transforms) {
    detail::tilt_family family(transform);
    std::optional<tradeoff_point> point;
    if (family.resolves(beta.value)) point = detail::point_on(family.curve(beta.value), beta.value, played);
    section.rows.push_back(detail::row_of(transform, point, family.largest_kl()));
  }
  const std::optional<optimal_transform> optimum = detail::optimal_at_beta(played, beta);
  section.rows.push_back(detail::row_of(optimum));
  if (optimum) {
    section.bound = detail::value_of(*section.rows.back().reached, beta.value);
    section.proof = optimum->proof();
    section.bound_proved = section.proof == optimality::proved_global;
  }
  detail::settle(section, played, beta.value);
  detail::recommend(plan, transforms, forgo);
  return plan;
}

}  // namespace infalign
