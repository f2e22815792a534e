// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "infalign/theory/detail/kl_inversion.hpp"
#include "infalign/theory/tradeoff.hpp"

namespace infalign {

INFALIGN_INLINE std::optional<optimal_transform> optimal_at_kl(const matchup& played, kl_budget kl) {
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

INFALIGN_INLINE std::vector<std::optional<tradeoff_point>> optimal_frontier(const matchup& played,
                                                                            const std::vector<kl_budget>& budgets) {
  std::vector<std::optional<tradeoff_point>> points;
  for (const kl_budget& budget : budgets) {
    const std::optional<optimal_transform> optimum = optimal_at_kl(played, budget);
    points.push_back(optimum ? std::optional(detail::point_of(*optimum)) : std::nullopt);
  }
  return points;
}

}  // namespace infalign
