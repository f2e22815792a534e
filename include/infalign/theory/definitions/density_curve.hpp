// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/theory/detail/density_curve.hpp"

namespace infalign::detail {

INFALIGN_INLINE double divergence_integrand(double h) {
  if (std::abs(h) > 0.5) return h < -700 ? 1 : std::exp(h) * (h - 1) + 1;
  double sum = 0;
  double factor = h;  // h^k / k!
  for (int k = 2; k <= 16; ++k) {
    factor *= h / k;
    sum += (k - 1) * factor;
  }
  return sum;
}

INFALIGN_INLINE density_curve::density_curve(chart coordinate, std::vector<curve_panel> panels)
    : coordinate_(coordinate), panels_(std::move(panels)) {
  const chebyshev& points = chebyshev::points();
  double below = 0;
  for (curve_panel& panel : panels_) {
    chebyshev::values density, divergence, mean;
    for (std::size_t i = 0; i < chebyshev::size; ++i) {
      const place at = coordinate_.at(panel.at(i));
      panel.u[i] = at.u;
      density[i] = panel.half() * at.width * std::exp(panel.log_density[i]);
      divergence[i] = panel.half() * at.width * divergence_integrand(panel.log_density[i]);
      mean[i] = density[i] * at.u;
    }
    kl_ += points.integrate(divergence);
    mean_ += points.integrate(mean);
    panel.below = points.primitive(density);
    for (double& f : panel.below) f += below;
    below = panel.below.back();
    std::reverse(density.begin(), density.end());
    panel.above = points.primitive(density);
    std::reverse(panel.above.begin(), panel.above.end());
  }
  double above = 0;
  for (auto panel = panels_.rbegin(); panel != panels_.rend(); ++panel) {
    for (double& f : panel->above) f += above;
    above = panel->above.front();
  }
}

INFALIGN_INLINE double density_curve::cdf(double u) const {
  if (u <= 0) return 0;
  if (u >= 1) return 1;
  const double above = value(u, &curve_panel::above);
  return std::clamp(above < 0.5 ? 1 - above : value(u, &curve_panel::below), 0.0, 1.0);
}

INFALIGN_INLINE double density_curve::quantile(double p) const {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  const bool lower = p < 0.5;
  const auto found = std::find_if(panels_.begin(), panels_.end(), [&](const curve_panel& panel) {
    return lower ? panel.below.back() >= p : panel.above.back() <= 1 - p;
  });
  const curve_panel& panel = found == panels_.end() ? panels_.back() : *found;
  const auto excess = [&](double t) {
    return lower ? chebyshev::points().interpolate(panel.below, t) - p
                 : (1 - p) - chebyshev::points().interpolate(panel.above, t);
  };
  double low = -1;
  double high = 1;
  for (int i = 0; i < 100 && high - low > 1e-15; ++i) {
    const double middle = 0.5 * (low + high);
    (excess(middle) < 0 ? low : high) = middle;
  }
  return coordinate_.at(panel.low + panel.half() * (1 + low)).u;
}

INFALIGN_INLINE double density_curve::win_rate(const matchup& played) const {
  double sum = 0;
  for (const matchup::pair& pair : played.pairs()) {
    std::optional<matchup::pair> of_this;
    if (pair.by_reward) {
      of_this = pair;
      of_this->policy = pair.made_of(*this);
    }
    for (const curve_panel& panel : panels_) {
      int halvings = 1000;
      sum += pair.probability * area(of_this ? *of_this : pair, panel, panel.low, panel.high, 0, halvings);
    }
  }
  return std::clamp(sum, 0.0, 1.0);  // rounding may have left the range
}

INFALIGN_INLINE std::pair<const curve_panel*, double> density_curve::locate(double u) const {
  const double x = std::clamp(coordinate_.of(u), panels_.front().low, panels_.back().high);
  const auto next =
      std::upper_bound(panels_.begin() + 1, panels_.end(), x, [](double at, const curve_panel& p) { return at < p.low; });
  const curve_panel& panel = *(next - 1);
  return {&panel, (x - panel.low) / panel.half() - 1};
}

INFALIGN_INLINE double density_curve::value(double u, chebyshev::values curve_panel::*what) const {
  const auto [panel, t] = locate(u);
  return chebyshev::points().interpolate(panel->*what, t);
}

INFALIGN_INLINE double density_curve::log_density_slope(double u) const {
  const auto [panel, t] = locate(u);
  const double by_x = chebyshev::points().interpolate(chebyshev::points().derivative(panel->log_density), t) / panel->half();
  return by_x / coordinate_.at(panel->low + panel->half() * (1 + t)).width;
}

INFALIGN_INLINE double density_curve::area(const matchup::pair& pair, const curve_panel& panel, double low, double high,
                                           int depth, int& halvings) const {
  const chebyshev& points = chebyshev::points();
  const bool whole = depth == 0;
  chebyshev::values share, u, served, base;
  for (std::size_t i = 0; i < chebyshev::size; ++i) {
    const double x = low + 0.5 * (high - low) * (1 + points.node[i]);
    const double t = (x - panel.low) / panel.half() - 1;
    const double above = whole ? panel.above[i] : points.interpolate(panel.above, t);
    const double below = whole ? panel.below[i] : points.interpolate(panel.below, t);
    share[i] = std::clamp(above < 0.5 ? 1 - above : below, 0.0, 1.0);
    u[i] = whole ? panel.u[i] : coordinate_.at(x).u;
    served[i] = pair.policy.distortion(share[i]);
    base[i] = pair.base.distortion(u[i]);
  }
  // An error of one distortion counts as far as the other one changes. Below the rounding of its argument nothing can be
  // resolved.
  const auto rough = [&](const chebyshev::values& shares, const matchup::side_functions& side, const chebyshev::values& at,
                         double other) {
    const double missing = points.tail(shares) * std::abs(other);
    if (missing <= 5e-16) return false;
    double steepest = 0;
    for (const double q : at) steepest = std::max(steepest, side.density(q));
    return missing > 1e-15 * steepest * std::abs(other);
  };
  if (depth < 30 && halvings > 0 &&
      (rough(served, pair.policy, share, base.back() - base.front()) ||
       rough(base, pair.base, u, served.back() - served.front()))) {
    const double middle = 0.5 * (low + high);
    --halvings;
    return area(pair, panel, low, middle, depth + 1, halvings) + area(pair, panel, middle, high, depth + 1, halvings);
  }
  return points.stieltjes(base, served);
}

}  // namespace infalign::detail

namespace infalign {

INFALIGN_INLINE matchup::side_functions matchup::pair::made_of(const detail::density_curve& of) const {
  if (const auto* const soft = std::get_if<soft_best_of>(&*by_reward))
    return detail::side_for_policy(policy.name, soft_distortion(*soft, [&of](double q) { return of.quantile(q); }));
  const auto& rewind = std::get<rewind_and_repeat>(*by_reward);
  return detail::side_for_policy(policy.name, rewind_distortion(rewind, of.cdf(rewind.threshold)));
}

}  // namespace infalign
