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

/// `e^h·(h-1) + 1`, the integrand of the KL divergence of a density `e^h` from the uniform one. It is never negative. For small
/// `h` the formula would cancel, so the series `h²/2 + h³/3 + h⁴/8 + …` is summed, whose coefficient of `h^k` is `(k-1)/k!`.
double divergence_integrand(double h);

/// A piece of a density on [0, 1]: its values at the Chebyshev points of [low, high], in the coordinate of its chart.
struct curve_panel {
  double low;
  double high;
  chebyshev::values log_density = {};
  chebyshev::values u = {};
  chebyshev::values below = {};  ///< F, accurate where it is small
  chebyshev::values above = {};  ///< 1 - F, kept beside it because it is accurate where 1 - F is small

  [[nodiscard]] double half() const { return 0.5 * (high - low); }
  [[nodiscard]] double at(std::size_t i) const { return low + half() * (1 + chebyshev::points().node[i]); }
};

/// A policy as the theory sees it: the density of its reward quantile as a piecewise polynomial, its CDF, its KL and its mean.
class density_curve {
 public:
  density_curve() = default;

  /// From panels in ascending order, all of whose values are filled in.
  density_curve(chart coordinate, std::vector<curve_panel> panels, double kl, double mean)
      : coordinate_(coordinate), panels_(std::move(panels)), kl_(kl), mean_(mean) {}

  /// From panels in ascending order with `log_density` alone, which must be normalised up to rounding. The rest is integrated.
  density_curve(chart coordinate, std::vector<curve_panel> panels);

  [[nodiscard]] double kl() const { return kl_; }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] const chart& coordinate() const { return coordinate_; }
  [[nodiscard]] const std::vector<curve_panel>& panels() const { return panels_; }

  [[nodiscard]] bool covers(double u) const {
    const double x = coordinate_.of(u);
    return x >= panels_.front().low && x <= panels_.back().high;
  }
  [[nodiscard]] double log_density(double u) const { return value(u, &curve_panel::log_density); }
  /// Its derivative by u.
  [[nodiscard]] double log_density_slope(double u) const;
  [[nodiscard]] double cdf(double u) const;
  /// The u below which a share p of the mass lies. Finds the panel by its ends, then bisects on the polynomial.
  [[nodiscard]] double quantile(double p) const;

  /// `W = ∫ Σ p_i·G_i^base(u) dG_i(F(u))`. It needs the distortions alone, not their densities.
  [[nodiscard]] double win_rate(const matchup& played) const;

 private:
  /// The panel that u lies in, and where in [-1, 1]. Where two meet, the upper one.
  [[nodiscard]] std::pair<const curve_panel*, double> locate(double u) const;
  [[nodiscard]] double value(double u, chebyshev::values curve_panel::*what) const;

  /// The part of `∫ G_base dG_π` on [low, high] within a panel. The interval is halved until both distortions are resolved, or
  /// until `halvings` are used up.
  [[nodiscard]] double area(const matchup::pair& pair, const curve_panel& panel, double low, double high, int depth,
                            int& halvings) const;

  chart coordinate_;
  std::vector<curve_panel> panels_;
  double kl_ = 0;
  double mean_ = 0;
};

}  // namespace infalign::detail

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/density_curve.hpp"
#endif
