// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace infalign::detail {

/// The β > 0 at which `kl(β) = target`, for a decreasing function `kl`. It is the secant method in `log β` on `log(e^KL - 1)`,
/// held in a bracket. That function is nearly a line: its slope is -2 for large β, where KL ~ 1/β², about -1 where the density
/// is a layer at an end, and otherwise mostly between -2 and 0. Next to a jump of an optimum it is steeper. After ten steps
/// that are no close match, every other step halves the bracket.
///
/// Ends when KL has a relative error of 1e-14 or β cannot change any more; the last call of `kl` is at the value returned. If
/// KL jumps over the target, because another of several optima becomes the best, it ends at the jump. Returns 0 if β would fall
/// below `smallest`. An infinite `kl` says that β is too small. At most 100 calls of `kl`.
template <class Kl>
double beta_at_kl(Kl&& kl, double target, double start, double smallest) {
  const auto height = [](double k) { return k < 30 ? std::log(std::expm1(k)) : k; };
  const double wanted = height(target);
  const double floor = std::log(smallest);
  constexpr double highest = 709;
  double low = floor, high = highest, x = std::max(std::log(start), floor);
  bool floor_met = false;
  double slope = -1.3, x_before = 0, excess_before = 0;
  for (int i = 0; i < 100; ++i) {
    const double reached = kl(std::exp(x));
    const double excess = height(reached) - wanted;
    if (std::abs(reached - target) <= 1e-14 * target) break;
    if (excess < 0 && x <= floor) return 0;
    (excess > 0 ? low : high) = x;
    floor_met = floor_met || excess > 0;
    if (excess > std::numeric_limits<double>::max()) {  // too small a β to be resolved
      x = 0.5 * (low + high);
      continue;
    }
    if (i > 0 && x != x_before) slope = std::clamp((excess - excess_before) / (x - x_before), -50.0, -0.02);
    x_before = x;
    excess_before = excess;
    const double next = x - std::clamp(excess / slope, -8.0, 8.0);
    const bool halve = i >= 10 && i % 2 == 0 && floor_met && high < highest && std::abs(excess) > 1e-9;
    const bool inside = next >= low && next <= high && !halve;
    const double held = inside ? next : next < low && !floor_met ? floor : 0.5 * (low + high);
    if (std::abs(held - x) <= 4e-16 * std::max(1.0, std::abs(x))) break;
    x = held;
  }
  return std::exp(x);
}

}  // namespace infalign::detail
