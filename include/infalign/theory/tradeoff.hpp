// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rate against KL: what a transform, or the optimum, reaches at a KL budget.
#pragma once

#include <optional>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/theory/detail/tilt_family.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/theory/optimal_transform.hpp"

namespace infalign {

/// A bound on `KL(π‖π₀)` in nats. Errors: `domain_error` unless positive and finite.
struct kl_budget {
  double value;
  explicit kl_budget(double nats) : value(nats) {
    expects<domain_error>(nats > 0 && nats - nats == 0, "kl_budget", "kl is ", nats, ", must be positive and finite");
  }
};

/// One point of a frontier.
struct tradeoff_point {
  double beta;
  double kl;
  double inference_win_rate;
  double standard_win_rate;
};

/// The β at which a transform's policy has the given KL, with a relative error of 1e-13. There is none if no β has that KL: a
/// transform that takes its largest value on a whole stretch of u has a KL below `-log(width of the stretch)`. Cost: about 0.5
/// ms.
template <class Transform>
[[nodiscard]] std::optional<double> beta_at_kl(const Transform& transform, kl_budget kl) {
  detail::expects_transform<Transform>();
  return detail::tilt_family(transform).beta_at(kl.value);
}

/// The optimum at a given KL rather than at a given β. There is none in three cases. Where `W - β·KL` is not concave, the KL of
/// the optimum can jump as β changes, and no β has a KL inside the jump. For large N at a large KL, β would be below 1e-9, or so
/// small that the problem is too stiff. And a KL below 1e-26 is the rounding error of a solution. `optimal_within` has an answer
/// there. Cost: 5 to 10 solutions of the optimum, some 20 where there is none. A search ends after about 600,000 evaluations of the
/// equations on a panel (see `detail::effort`): a second or two for each pair of procedures.
[[nodiscard]] std::optional<optimal_transform> optimal_at_kl(const matchup& played, kl_budget kl);

/// The best policy that was found within a KL budget, and what is known of better ones.
struct budget_optimum {
  /// None where not even a larger β could be solved for.
  std::optional<optimal_transform> found;
  double bound;  ///< no policy within the budget wins more; `found->win_rate()` where `optimal_at_kl` has an optimum
  /// Whether that is proved. Otherwise it holds if the scan for stationary points has missed none that is better.
  bool bound_proved;
};

/// The best policy with `KL <= κ`, also where `optimal_at_kl` has none.
///
/// Where the KL of the optimum jumps over κ, the policy is a stationary point of `W - β·KL` with a KL of κ, as the best policy of
/// that KL must be; if there are several, it is one of them. Its `proof()` is `optimality::within_bound`. It maximises `E[Φ(C)] -
/// β·KL` for its own Φ like any other optimal transform, so that it is trained in the same way. Where β becomes too small to solve
/// for, the policy is an optimum of a smaller KL. For procedures that select by reward, inside a jump too.
///
/// The bound is that of Lagrange, `min over β of max(W - β·KL) + β·κ`. No single policy attains it inside a jump. Two policies
/// do on average over prompts: those on both sides of the jump, each on a part of the prompts, with a mean KL of κ.
///
/// Cost: that of `optimal_at_kl`, and inside a jump about 20 scans for stationary points, some 100 ms in all. Source: derived.
[[nodiscard]] budget_optimum optimal_within(const matchup& played, kl_budget kl);

namespace detail {
/// The same with an effort that several searches share.
[[nodiscard]] budget_optimum optimal_within(const matchup& played, kl_budget kl, effort& shared);
inline tradeoff_point point_on(const density_curve& curve, double beta, const matchup& played) {
  return {beta, curve.kl(), curve.win_rate(played), curve.mean()};
}
inline tradeoff_point point_of(const optimal_transform& optimum) {
  return {optimum.beta(), optimum.kl(), optimum.win_rate(), optimum.standard_win_rate()};
}
}  // namespace detail

/// What a transform reaches at a β.
template <class Transform>
[[nodiscard]] tradeoff_point tradeoff_at(const matchup& played, const Transform& transform, kl_weight beta) {
  detail::expects_transform<Transform>();
  expects<domain_error>(beta.value > 0, "tradeoff_at", "beta is ", beta.value, ", must be positive");
  return detail::point_on(detail::tilt_family(transform).curve(beta.value), beta.value, played);
}

/// What a transform reaches at each KL budget. The entry is empty where it cannot have that KL.
template <class Transform>
[[nodiscard]] std::vector<std::optional<tradeoff_point>> frontier(const matchup& played, const Transform& transform,
                                                                  const std::vector<kl_budget>& budgets) {
  detail::expects_transform<Transform>();
  detail::tilt_family family(transform);
  std::vector<std::optional<tradeoff_point>> points;
  for (const kl_budget& budget : budgets) {
    const std::optional<double> beta = family.beta_at(budget.value);
    points.push_back(beta ? std::optional(detail::point_on(family.curve(*beta), *beta, played)) : std::nullopt);
  }
  return points;
}

/// What the optimum reaches at each KL budget: no transform lies above it. The entry is empty where there is none, see
/// `optimal_at_kl`. After three budgets at which the problem was too stiff, or once the effort of one
/// hard search is spent, which all budgets share, the others stay empty.
[[nodiscard]] std::vector<std::optional<tradeoff_point>> optimal_frontier(const matchup& played,
                                                                          const std::vector<kl_budget>& budgets);

}  // namespace infalign

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/tradeoff.hpp"
#endif
