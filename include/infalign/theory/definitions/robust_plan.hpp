// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/theory/detail/tilt_family.hpp"
#include "infalign/theory/robust_plan.hpp"

namespace infalign {

namespace detail {

/// The scenarios of a robust plan, each with its own optimum at the budget.
struct robust_problem {
  const std::vector<matchup::outcome>& scenarios;
  kl_budget budget;
  std::vector<double> best;

  template <class WinRate>
  [[nodiscard]] robust_row row(std::string name, double beta, const WinRate& win_rate) const {
    robust_row out{std::move(name), beta, {}, {}, 0, 0};
    double total = 0;
    for (std::size_t i = 0; i < scenarios.size(); ++i) {
      out.win_rate.push_back(win_rate(scenarios[i].played));
      out.regret.push_back(std::max(0.0, best[i] - out.win_rate.back()));
      out.expected_win_rate += scenarios[i].probability * out.win_rate.back();
      out.worst_regret = std::max(out.worst_regret, out.regret.back());
      total += scenarios[i].probability;
    }
    out.expected_win_rate /= total;
    return out;
  }
  [[nodiscard]] optimal_transform optimum(const std::vector<double>& prior) const {
    std::vector<matchup::outcome> mixed;
    for (std::size_t i = 0; i < scenarios.size(); ++i)
      if (prior[i] > 0) mixed.push_back({prior[i], scenarios[i].played});
    std::optional<optimal_transform> found = optimal_at_kl(matchup::mixture(mixed), budget);
    expects<domain_error>(found.has_value(), "robust_plan", "budget is ", budget.value,
                          ", at which a scenario or a mixture has no optimum (see optimal_at_kl)");
    return *std::move(found);
  }
};

/// A prior, the optimum for it, and the bound that follows: `Σ p_i·regret_i <= min_Φ max_i regret_i <= max_i regret_i`.
struct robust_iterate {
  std::vector<double> prior;
  optimal_transform policy;
  robust_row row;
  double bound;
};
INFALIGN_INLINE robust_iterate respond(const robust_problem& problem, const std::vector<double>& prior) {
  optimal_transform policy = problem.optimum(prior);
  robust_row row = problem.row("minimax", policy.beta(), [&](const matchup& m) { return policy.win_rate(m); });
  double bound = 0;
  for (std::size_t i = 0; i < prior.size(); ++i) bound += prior[i] * row.regret[i];
  return {prior, std::move(policy), std::move(row), bound};
}

/// The policy of smallest worst regret that was found, and the largest lower bound on that regret with the prior that gave it.
/// The search is by multiplicative weights: scenarios with more regret than the mean get more weight in the next prior.
struct minimax_search {
  robust_iterate best;
  double bound;
  std::vector<double> bound_prior;
};
INFALIGN_INLINE minimax_search find_minimax(const robust_problem& problem, robust_iterate start) {
  minimax_search found{start, start.bound, start.prior};
  const std::size_t size = start.prior.size();
  std::vector<double> weight(size, 1.0 / static_cast<double>(size));
  for (int round = 0; round < 60 && found.best.row.worst_regret - found.bound > 1e-4; ++round) {
    robust_iterate next = respond(problem, weight);
    if (next.bound > found.bound) {
      found.bound = next.bound;
      found.bound_prior = weight;
    }
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double surplus = (next.row.regret[i] - next.bound) / std::max(next.row.worst_regret, 1e-12);
      weight[i] *= std::exp(2 / std::sqrt(1 + 0.25 * round) * surplus);
      sum += weight[i];
    }
    for (double& w : weight) w /= sum;
    if (next.row.worst_regret < found.best.row.worst_regret) found.best = std::move(next);
  }
  return found;
}

}  // namespace detail

INFALIGN_INLINE robust_plan_table robust_plan(const std::vector<matchup::outcome>& scenarios, kl_budget budget,
                                              const std::vector<any_transform>& transforms) {
  const matchup mixture = matchup::mixture(scenarios);
  detail::robust_problem problem{scenarios, budget, {}};
  std::vector<double> prior;
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    std::vector<double> alone(scenarios.size(), 0.0);
    alone[i] = 1;
    problem.best.push_back(problem.optimum(alone).win_rate());
    prior.push_back(scenarios[i].probability);
  }
  const detail::robust_iterate expected = detail::respond(problem, prior);
  detail::minimax_search minimax = detail::find_minimax(problem, expected);
  std::vector<robust_row> rows = {expected.row, minimax.best.row};
  rows.front().transform = "optimal for the prior";
  for (const any_transform& transform : transforms) {
    detail::tilt_family family(transform);
    const std::optional<double> beta = family.beta_at(budget.value);
    if (!beta) continue;
    const detail::density_curve curve = family.curve(*beta);
    rows.push_back(problem.row(transform.name(), *beta, [&](const matchup& m) { return curve.win_rate(m); }));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const robust_row& a, const robust_row& b) { return a.worst_regret < b.worst_regret; });
  const optimality proof = mixture.concave() ? optimality::proved_global : optimality::best_stationary_point;
  return {problem.best, std::move(rows), minimax.bound, proof, minimax.bound_prior, std::move(minimax.best.policy)};
}

}  // namespace infalign
