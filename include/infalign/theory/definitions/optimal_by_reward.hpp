// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/theory/detail/reward_ascent.hpp"
#include "infalign/theory/optimal_transform.hpp"

namespace infalign {

INFALIGN_INLINE void detail::reward_ascent::start_rewinding(double logit, double beta) {
  const matchup::pair& pair = played_.pairs().front();
  const auto& rewind = std::get<rewind_and_repeat>(*pair.by_reward);
  const auto m = static_cast<double>(rewind.attempts);
  const double below = 1 / (1 + std::exp(-logit)), above = 1 / (1 + std::exp(logit));
  values h;
  for (const double x : grid_->x) h.push_back(pair.base.distortion(1 + x) / beta);
  // To log f, a share of the mass, from B/β on a part.
  const auto tilt = [&](std::size_t first, std::size_t last, double factor, double share) {
    double top = -infinity<double>, mass = 0;
    for (std::size_t i = first; i < last; ++i) top = std::max(top, h[i] *= factor);
    for (std::size_t i = first; i < last; ++i) mass += grid_->weight[i] * std::exp(h[i] - top);
    for (std::size_t i = first; i < last; ++i) h[i] += std::log(share / mass) - top;
  };
  const std::size_t lower = grid_->points_below(rewind.threshold - 1);
  tilt(0, lower, std::pow(below, m - 1), below);
  tilt(lower, h.size(), rewound_samples(m, below, above), above);
  now_ = at(std::move(h));
}

INFALIGN_INLINE std::vector<double> detail::reward_ascent::rewinding_starts(double beta) {
  constexpr double farthest = 20, step = 0.25;
  std::vector<double> starts;
  double before = -infinity<double>;
  bool rises = true;
  for (double logit = -farthest; logit <= farthest + step && shared_.left > 0; logit += step) {
    start_rewinding(logit, beta);
    const double worth = now_.worth(beta);
    if (rises && !(worth > before)) starts.push_back(logit - step);
    rises = worth > before;
    before = worth;
  }
  if (rises) starts.push_back(farthest);
  return starts;
}

INFALIGN_INLINE void optimal_transform::solve_by_reward(detail::effort& effort) {
  bool rewinds = true, exact = true;
  for (const matchup::pair& pair : played_.pairs()) {
    if (!pair.by_reward)
      raise<optimum_not_found>("optimal_transform", "played is ", played_.name(),
                               ", a mixture of procedures that select by reward with others, which is not solved");
    const auto* rewind = std::get_if<rewind_and_repeat>(&*pair.by_reward);
    rewinds = rewinds && rewind != nullptr;
    exact = rewinds && exact && played_.pairs().size() == 1 && rewind->otherwise == unpassed::last;
  }
  if (-std::log(beta_) > stiffest) not_found();
  const bool concave = beta_ >= 0.25 * played_.steepest_fall();
  optimality_ = concave ? optimality::proved_global : optimality::best_stationary_point;
  detail::reward_ascent ascent(played_, effort);
  const auto keep_if_better = [&] {
    if (!ascent.climb(beta_)) return;
    const double more = ascent.win_rate() - beta_ * ascent.kl() - (win_rate_ - beta_ * curve_.kl());
    ++found_;
    if (found_ == 1 || more > 1e-12) take(ascent.curve(), ascent.win_rate());
  };
  if (rewinds)
    for (const double logit : ascent.rewinding_starts(beta_)) {
      ascent.start_rewinding(logit, beta_);
      keep_if_better();
    }
  if (!exact || found_ == 0) {
    // From the optimum of a larger β to that of a smaller; then from policies that have mostly high, or mostly low rewards.
    ascent.start([](double) { return 0; });
    for (double larger = 1; larger > 2 * beta_; larger /= 4) (void)ascent.climb(larger);
    keep_if_better();
    for (const double tilt : {12.0, -12.0}) {
      ascent.start([tilt](double u) { return tilt * u; });
      keep_if_better();
    }
  }
  if (found_ == 0) not_found();
}

}  // namespace infalign
