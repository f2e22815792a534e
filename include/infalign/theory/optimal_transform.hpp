// SPDX-License-Identifier: Apache-2.0
/// \file
/// The transform that no other beats, for the procedures that will be run and a KL weight.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/detail/shooting.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/transform/tabulated.hpp"

namespace infalign {

/// A problem so stiff that rounding keeps its solution from meeting both ends.
struct optimum_not_found : error {
  using error::error;
};

/// What is known of an optimum.
enum class optimality {
  proved_global,         ///< `W - β·KL` is concave: nothing else does better
  best_stationary_point  ///< the best of all stationary points that a scan of the solutions found
};

/// `Φ*(v) = -∫_v^1 Σ p_i·g_i(F)·g_i^base du`, the transform whose policy `f ∝ e^{Φ*/β}` maximises `W - β·KL` for a matchup, and
/// that policy. With `f = F'` it is the boundary-value problem `F'' = F'·k(F, u)/β`, `F(0) = 0`, `F(1) = 1`, `k = Σ p_i·g_i·g_i^base`.
///
/// It is solved by shooting from the upper end on `f(1)`, which lies between 1 and `1 + max Σ p_i·g_i^base/β`. Every stationary
/// point is one of these solutions; where W - β·KL is concave (`matchup::concave`, or `β >= matchup::steepest_fall()/4`) there is
/// just one, otherwise the interval is scanned for several and the one of largest `W - β·KL` is kept.
///
/// A transform itself, with `Φ*(1) = 0`; `table` gives it in the form that training takes. Error of F, W and `KL`: below 1e-10 for
/// β >= 1e-4. Cost: about 0.5 ms for best-of-4 at β = 0.02. Errors: `domain_error` unless `β > 0`; `optimum_not_found` where
/// rounding keeps the solution from meeting `F(0) = 0` within 1e-9, at once where `k(1, 1)/β > 1e15`, and after at most some
/// seconds where the problem needs more panels than `detail::shooting` spends.
/// Source: InfAlign (arXiv 2412.19792) for the coupled optimum; the boundary-value problem is derived.
class optimal_transform {
 public:
  static constexpr const char* citation = "Balashankar et al., InfAlign, ICML 2025 (arXiv 2412.19792)";

  optimal_transform(matchup played, kl_weight beta) : played_(std::move(played)), beta_(beta.value) {
    expects<domain_error>(beta_ > 0, "optimal_transform", "beta is ", beta_, ", must be positive");
    if (std::log(played_.slope(1, 1)) - std::log(beta_) > stiffest) not_found();
    const bool concave = played_.concave() || beta_ >= 0.25 * played_.steepest_fall();
    optimality_ = concave ? optimality::proved_global : optimality::best_stationary_point;
    for (const bracket& in : brackets(concave ? 1 : 32)) keep_better(in);
    if (found_ == 0) not_found();
    top_ = curve_.panels().back().log_density.back();
  }

  template <class V>
  [[nodiscard]] V operator()(V u) const {
    return lanewise(value{*this}, u);
  }
  template <class V>
  [[nodiscard]] V derivative(V u) const {
    return lanewise(slope{*this}, u);
  }
  [[nodiscard]] std::string name() const { return "optimal"; }

  [[nodiscard]] double beta() const { return beta_; }
  [[nodiscard]] const matchup& played() const { return played_; }
  [[nodiscard]] double kl() const { return curve_.kl(); }
  [[nodiscard]] double standard_win_rate() const { return curve_.mean(); }
  /// Of the matchup that it is the optimum of.
  [[nodiscard]] double win_rate() const { return win_rate_; }
  /// Of another one.
  [[nodiscard]] double win_rate(const matchup& other) const { return curve_.win_rate(other); }
  [[nodiscard]] double log_normalizer() const { return -top_; }
  [[nodiscard]] double log_density(double u) const { return curve_.log_density(in_range(u)); }
  [[nodiscard]] double density(double u) const { return std::exp(log_density(u)); }
  [[nodiscard]] double cdf(double u) const { return curve_.cdf(in_range(u)); }
  [[nodiscard]] double quantile(double p) const { return curve_.quantile(in_range(p)); }
  [[nodiscard]] optimality proof() const { return optimality_; }
  [[nodiscard]] index_t stationary_points() const { return found_; }

  /// The transform as a monotone cubic with given slopes, whose error is at most `tolerance·(Φ*(1) - Φ*(0))`. About 20 points for
  /// 1e-3 and 200 for 1e-7. Errors: `domain_error` for a tolerance outside [1e-10, 1).
  [[nodiscard]] tabulated table(double tolerance = 1e-6) const {
    expects<domain_error>(tolerance >= 1e-10 && tolerance < 1, "optimal_transform::table", "tolerance is ", tolerance,
                          ", must be in [1e-10, 1)");
    std::vector<double> u{0}, values{(*this)(0.0)}, slopes{derivative(0.0)};
    const double range = -values.front();
    for (const detail::curve_panel& panel : curve_.panels()) {
      const double high = &panel == &curve_.panels().back() ? 1.0 : 1 + panel.high;
      if (high <= u.back() || (high == 1 && &panel != &curve_.panels().back())) continue;  // a layer thinner than rounding
      append(u, values, slopes, {high, (*this)(high), derivative(high)}, tolerance * range, 0);
    }
    return tabulated(std::move(u), std::move(values), std::move(slopes));
  }

 private:
  struct value {
    const optimal_transform& of;
    double operator()(double u) const { return of.beta_ * (of.log_density(u) - of.top_); }
  };
  struct slope {
    const optimal_transform& of;
    double operator()(double u) const { return of.played_.slope(of.cdf(u), u); }
  };
  struct point {
    double u;
    double value;
    double slope;
  };

  /// Log of k(1, 1)/β, and of f(1), beyond which the layer at the upper end is thinner than rounding: 1e15.
  static constexpr double stiffest = 34.5;

  [[noreturn]] void not_found() const {
    raise<optimum_not_found>("optimal_transform", "the problem for ", played_.name(), " at beta ", beta_,
                             " is too stiff: no solution meets F(0) = 0");
  }
  static double in_range(double u) {
    expects<domain_error>(u >= 0 && u <= 1, "optimal_transform", "argument is ", u, ", must be in [0, 1]");
    return u;
  }

  /// An interval of `f(1)` in which `B(1) - 1` changes sign.
  struct bracket {
    double low;
    double high;
    bool rising;
  };

  /// The sign changes on a logarithmic grid of `f(1)`; for a single interval there is one.
  [[nodiscard]] std::vector<bracket> brackets(int intervals) const {
    double highest = 0;
    constexpr int steps = 128;
    for (int i = 0; i <= steps; ++i) {
      double sum = 0;
      for (const matchup::pair& p : played_.pairs()) sum += p.probability * p.base.density(static_cast<double>(i) / steps);
      highest = std::max(highest, sum);
    }
    double top = std::log1p(highest / beta_) + 0.01;
    detail::shooting shoot(played_, beta_);
    // A peak between the points of the grid is higher.
    while (top < stiffest && shoot(std::exp(top), 1e-6).value < 0) top += 1;
    if (intervals == 1) return {{1 / 1.01, std::exp(top), true}};
    std::vector<bracket> found;
    bool above = false;  // B(1) <= 1 for f(1) = 1, since the density rises to its upper end
    for (int i = 1; i <= intervals; ++i) {
      const bool next = shoot(std::exp(top * i / intervals), 1e-6).value > 0;
      if (next != above) found.push_back({std::exp(top * (i - 1) / intervals) / 1.01, std::exp(top * i / intervals), next});
      above = next;
    }
    // A scan that ended early may have missed the best.
    return shoot.gave_up() ? std::vector<bracket>{} : found;
  }

  /// Newton's method from the upper end, where `B(1) - 1` is nearly linear; the bracket is halved where a step would leave it or
  /// where steps keep the size of the bracket. As they get small the solutions get exact, and after a step so small that the
  /// next would be rounding, one last is taken. Leaves the solution in `shoot`; false if it gave up.
  bool solve(detail::shooting& shoot, bracket in) const {
    constexpr double rounding = detail::shooting::rounding;
    double y = in.high, tolerance = std::min(1e-4, 1e-2 / y);
    int stalled = 0;
    for (int i = 0; i < 100 && !shoot.gave_up(); ++i) {
      const detail::shooting::miss miss = shoot(y, tolerance);
      // A sign is taken for true where it is beyond the error of the solution.
      if (std::abs(miss.value) > 10 * y * tolerance) ((miss.value > 0) == in.rising ? in.high : in.low) = y;
      double next = y - miss.value / miss.slope;
      stalled = std::abs(next / y - 1) > 0.25 * std::log(in.high / in.low) ? stalled + 1 : 0;
      if (!(next > in.low && next < in.high) || stalled > 1) next = std::sqrt(in.low * in.high), stalled = 0;
      const double step = std::abs(next / y - 1);
      y = next;
      if (tolerance == rounding && step <= 1e-9) break;
      tolerance = i > 30 ? rounding : std::clamp(1e-2 * step * step, rounding, std::min(1e-4, 1e-2 / y));
    }
    shoot(y);
    return !shoot.gave_up();
  }
  void keep_better(const bracket& in) {
    detail::shooting shoot(played_, beta_);
    // A sign change of what cannot be resolved is no solution, nor is what would have to be moved far to be one.
    if (!solve(shoot, in) || !(std::abs(shoot.missing_step()) <= 1e-6)) return;
    detail::density_curve curve = shoot.curve();
    if (!(std::abs(curve.panels().front().above.front() - 1) < 1e-9)) return;
    const double win_rate = curve.win_rate(played_);
    ++found_;
    if (found_ > 1 && win_rate - beta_ * curve.kl() <= win_rate_ - beta_ * curve_.kl()) return;
    curve_ = std::move(curve);
    win_rate_ = win_rate;
  }

  /// Points up to `to`, so close that the cubic through two neighbours is right between them.
  void append(std::vector<double>& u, std::vector<double>& values, std::vector<double>& slopes, const point& to, double error,
              int depth) const {
    const double h = to.u - u.back();
    bool close = true;
    for (const double s : {0.25, 0.5, 0.75}) {
      const double r = 1 - s;
      const double cubic =
          values.back() * r * r * (1 + 2 * s) + to.value * s * s * (1 + 2 * r) + h * s * r * (slopes.back() * r - to.slope * s);
      close = close && std::abs(cubic - (*this)(u.back() + s * h)) <= 0.5 * error;
    }
    if (!close && depth < 20) {
      const double middle = u.back() + 0.5 * h;
      append(u, values, slopes, {middle, (*this)(middle), derivative(middle)}, error, depth + 1);
      append(u, values, slopes, to, error, depth + 1);
      return;
    }
    u.push_back(to.u);
    values.push_back(std::max(to.value, values.back()));
    slopes.push_back(std::max(0.0, to.slope));
  }

  matchup played_;
  double beta_;
  optimality optimality_;
  detail::density_curve curve_;
  double win_rate_ = 0;
  double top_ = 0;
  index_t found_ = 0;
};

}  // namespace infalign
