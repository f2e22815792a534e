// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rate against KL: what a transform, or the optimum, reaches at a KL budget.
#pragma once

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/theory/detail/kl_inversion.hpp"
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

/// The β at which a transform's policy has the given KL, to a relative 1e-13; none if no β has it, as for a transform with a flat
/// top, where `β -> 0` leaves `KL = -log(width of the top)`. Cost: about 0.5 ms.
template <class Transform>
[[nodiscard]] std::optional<double> beta_at_kl(const Transform& transform, kl_budget kl) {
  detail::expects_transform<Transform>();
  return detail::tilt_family(transform).beta_at(kl.value);
}

/// The optimum at a KL rather than at a β. None where the optimum of no β has that KL: where `W - β·KL` is not concave its KL can
/// jump as β changes; and none if β would be below 1e-9, or so small that the problem is too stiff (large N at a large KL). Cost: 5
/// to 10 solutions of the optimum, more where it does not exist.
[[nodiscard]] inline std::optional<optimal_transform> optimal_at_kl(const matchup& played, kl_budget kl) {
  std::optional<optimal_transform> last;
  const auto reach = [&](double beta) {
    last.emplace(played, kl_weight(beta));
    return last->kl();
  };
  const double start = 1 / (2.5 * std::expm1(kl.value) + std::sqrt(kl.value));
  try {
    if (detail::beta_at_kl(reach, kl.value, start, 1e-9) == 0) return std::nullopt;
  } catch (const optimum_not_found&) {
    return std::nullopt;
  }
  if (std::abs(last->kl() - kl.value) > 1e-9 * kl.value) return std::nullopt;
  return last;
}

namespace detail {
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

/// What a transform reaches at each KL budget; nothing where it cannot have that KL.
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

/// What the optimum reaches at each KL budget: no transform lies above it.
[[nodiscard]] inline std::vector<std::optional<tradeoff_point>> optimal_frontier(const matchup& played,
                                                                                 const std::vector<kl_budget>& budgets) {
  std::vector<std::optional<tradeoff_point>> points;
  for (const kl_budget& budget : budgets) {
    const std::optional<optimal_transform> optimum = optimal_at_kl(played, budget);
    points.push_back(optimum ? std::optional(detail::point_of(*optimum)) : std::nullopt);
  }
  return points;
}

}  // namespace infalign
