// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "infalign/theory/detail/chart.hpp"
#include "infalign/theory/detail/chebyshev.hpp"
#include "infalign/theory/matchup.hpp"

namespace infalign::detail {

/// `e^h·(h-1) + 1`, the integrand of the KL divergence for a density `e^h`. Not negative, and with its relative accuracy where
/// `h` is small: there it is `h²/2 + h³/3 + h⁴/8 + …`, the term of `h^k` being `(k-1)/k!`.
inline double divergence_integrand(double h) {
  if (std::abs(h) > 0.5) return h < -700 ? 1 : std::exp(h) * (h - 1) + 1;
  double sum = 0;
  double factor = h;  // h^k / k!
  for (int k = 2; k <= 16; ++k) {
    factor *= h / k;
    sum += (k - 1) * factor;
  }
  return sum;
}

/// A piece of a density on [0, 1]: at Chebyshev points of [low, high], in the coordinate of its chart.
struct curve_panel {
  double low;
  double high;
  chebyshev::values log_density = {};
  chebyshev::values u = {};
  chebyshev::values below = {};  ///< F
  chebyshev::values above = {};  ///< 1 - F, with its own relative accuracy

  [[nodiscard]] double half() const { return 0.5 * (high - low); }
  [[nodiscard]] double at(std::size_t i) const { return low + half() * (1 + chebyshev::points().node[i]); }
};

/// A policy as the theory sees it: the density of its reward quantile, in pieces of polynomials, with its CDF and its moments.
class density_curve {
 public:
  density_curve() = default;

  /// From panels in ascending order, complete.
  density_curve(chart coordinate, std::vector<curve_panel> panels, double kl, double mean)
      : coordinate_(coordinate), panels_(std::move(panels)), kl_(kl), mean_(mean) {}

  /// From the log-densities of panels in ascending order, normalised to rounding: the rest by integration.
  density_curve(chart coordinate, std::vector<curve_panel> panels) : coordinate_(coordinate), panels_(std::move(panels)) {
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

  [[nodiscard]] double kl() const { return kl_; }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] const chart& coordinate() const { return coordinate_; }
  [[nodiscard]] const std::vector<curve_panel>& panels() const { return panels_; }

  [[nodiscard]] bool covers(double u) const {
    const double x = coordinate_.of(u);
    return x >= panels_.front().low && x <= panels_.back().high;
  }
  [[nodiscard]] double log_density(double u) const { return value(u, &curve_panel::log_density); }
  [[nodiscard]] double cdf(double u) const {
    if (u <= 0) return 0;
    if (u >= 1) return 1;
    const double above = value(u, &curve_panel::above);
    return std::clamp(above < 0.5 ? 1 - above : value(u, &curve_panel::below), 0.0, 1.0);
  }
  /// The u below which a share p lies: the panel by its ends, then bisection on the polynomial.
  [[nodiscard]] double quantile(double p) const {
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

  /// `W = ∫ Σ p_i·G_i^base(u) dG_i(F(u))`, from distortions alone.
  [[nodiscard]] double win_rate(const matchup& played) const {
    double sum = 0;
    for (const matchup::pair& pair : played.pairs())
      for (const curve_panel& panel : panels_) {
        int halvings = 1000;
        sum += pair.probability * area(pair, panel, panel.low, panel.high, 0, halvings);
      }
    return sum;
  }

 private:
  [[nodiscard]] double value(double u, chebyshev::values curve_panel::*what) const {
    const double x = std::clamp(coordinate_.of(u), panels_.front().low, panels_.back().high);
    const auto next =
        std::upper_bound(panels_.begin() + 1, panels_.end(), x, [](double at, const curve_panel& p) { return at < p.low; });
    const curve_panel& panel = *(next - 1);
    return chebyshev::points().interpolate(panel.*what, (x - panel.low) / panel.half() - 1);
  }

  /// The part of `∫ G_base dG_π` on [low, high] within a panel; halved until both are resolved, or as often as is left.
  [[nodiscard]] double area(const matchup::pair& pair, const curve_panel& panel, double low, double high, int depth,
                            int& halvings) const {
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
    // Each is resolved as far as the change of the other matters, and as far as its argument's rounding lets it.
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

  chart coordinate_;
  std::vector<curve_panel> panels_;
  double kl_ = 0;
  double mean_ = 0;
};

}  // namespace infalign::detail
