// SPDX-License-Identifier: Apache-2.0
/// \file
/// One transform for several procedures: what to train with while the number of samples at inference is not known.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
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

/// A prior and the optimum for it, with what it bounds: `Σ p_i·regret_i <= min_Φ max_i regret_i <= max_i regret_i`.
struct robust_iterate {
  std::vector<double> prior;
  optimal_transform policy;
  robust_row row;
  double bound;
};
inline robust_iterate respond(const robust_problem& problem, const std::vector<double>& prior) {
  optimal_transform policy = problem.optimum(prior);
  robust_row row = problem.row("minimax", policy.beta(), [&](const matchup& m) { return policy.win_rate(m); });
  double bound = 0;
  for (std::size_t i = 0; i < prior.size(); ++i) bound += prior[i] * row.regret[i];
  return {prior, std::move(policy), std::move(row), bound};
}

/// The policy of least worst regret that multiplicative weights find, and the largest lower bound with its prior.
struct minimax_search {
  robust_iterate best;
  double bound;
  std::vector<double> bound_prior;
};
inline minimax_search find_minimax(const robust_problem& problem, robust_iterate start) {
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

/// One transform for several scenarios (pairs of procedures, each with its prior probability) at one KL budget: every transform of
/// a set, the optimum for the prior, and the one that minimises the worst regret, each with what it loses in every scenario against
/// that scenario's own optimum at the same KL.
///
/// As W is linear in the scenarios, the optimum for a prior is that of the coupled mixture,
/// `Φ*(v) = -∫_v^1 Σ p_i·g_i(F)·g_i^base du`. The minimax transform is the optimum for the least favourable prior, found by
/// multiplicative weights on the regrets; with concave W any prior's expected regret under its own optimum is a lower bound, so the
/// result says how far from the least worst regret it can be at most. It stops at a gap of 1e-4 or after 60 priors.
///
/// Transforms that cannot have the KL are left out. Errors: those of `matchup::mixture`; `domain_error` if an optimum is out of
/// reach. Cost: up to 60 optima at given KL, each about 5 ms. Source: derived.
[[nodiscard]] inline robust_plan_table robust_plan(const std::vector<matchup::outcome>& scenarios, kl_budget budget,
                                                   const std::vector<any_transform>& transforms = customary_transforms()) {
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
