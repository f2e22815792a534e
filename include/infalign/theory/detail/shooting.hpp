// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <list>
#include <utility>
#include <vector>

#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/matchup.hpp"

namespace infalign::detail {

/// How often a search for optima may still evaluate their equations on a panel, which takes about 2 µs for each pair of procedures.
/// Densities that cost more count more often (`matchup::density_cost`). A panel takes about 1 kB for each pair.
struct effort {
  /// A problem that can be solved takes at most some 25,000.
  static constexpr long of_one_optimum = 240'000;
  /// One at a KL takes some 20,000, and ten times that beside a jump or where it becomes too stiff.
  static constexpr long at_kls(std::size_t budgets) { return 600'000 + 20'000 * static_cast<long>(budgets); }

  long left;
};

/// One shot of the shooting method for the optimum: integrates from `u = 1` downwards for a guess `y` of `f(1)`. With
/// `w = 1 - u`, `B = 1 - F`, and `h(w) = log f - log y`, the log-density relative to its value at the upper end:
///
///     B' = y·e^h,   h' = -k(1-B, 1-w)/β,   B(0) = 0,  h(0) = 0.
///
/// The optimum is the `y` for which `B(1) = 1`. From this end the problem is well conditioned: errors grow downwards by powers
/// of 1/β, whereas from the lower end upwards they would grow like e^{1/β}.
///
/// A step is a panel of Chebyshev points, on which the integral form of the equations is iterated up to rounding. Panels are
/// kept from one y to the next, with the derivative of the solution with respect to log y; that gives the first iterate for the
/// next y.
class shooting {
 public:
  /// By how much a shot misses: `B(1) - 1`, and its derivative with respect to y.
  struct miss {
    double value;
    double slope;
  };

  shooting(const matchup& played, double beta, effort& shared)
      : played_(played), beta_(beta), terms_(played.pairs().size()), shared_(shared), cost_(played.density_cost()) {}

  static constexpr double rounding = 1e-15;
  /// It gives up once the shared effort is spent, after a quarter of the evaluations of one optimum, or with more than 20,000
  /// panels.
  [[nodiscard]] bool gave_up() const {
    return shared_.left < 0 || work_ > effort::of_one_optimum / 4 || panels_.size() > 20'000;
  }

  /// Shoots for `f(1) = y` with an error of about `tolerance`. If B exceeds 1 on the way, it stops there and goes on with a
  /// constant density, which keeps the sign and a useful slope. NaN once it has given up.
  miss operator()(double y, double tolerance = rounding) {
    tolerance_ = tolerance;
    if (panels_.empty()) start(y);
    step_ = std::log(y / scale_);
    scale_ = y;
    state at;
    double left = 0;
    for (auto k = panels_.begin(); k != panels_.end() && left == 0;) {
      if (gave_up()) return last_ = {std::numeric_limits<double>::quiet_NaN(), 1};
      panel& p = *k;
      if (!integrate(p, at)) {
        split(k);
        continue;
      }
      linearise(p, at);
      at = {p.above.back(), p.exponent.back(), p.above_by_scale.back(), p.exponent_by_scale.back()};
      ++k;
      if (at.above > 1 + overshoot && k != panels_.end()) left = 1 - k->low;
    }
    const double density = y * std::exp(at.exponent);
    last_ = {at.above - 1 + left * density, (at.above_by_scale + left * density * (1 + at.exponent_by_scale)) / y};
    return last_;
  }

  /// The density of the last y, moved along its derivative with respect to log y until it integrates to one. That last step is
  /// smaller than the spacing of doubles at y. It matters for small β: far from the upper end, the log-density is the
  /// difference of two numbers of size 1/β, which magnifies the rounding of y.
  [[nodiscard]] density_curve curve() const {
    std::vector<curve_panel> turned;
    turned.reserve(panels_.size());
    const double step = missing_step();
    const double top = std::log(scale_) + step;
    for (auto p = panels_.rbegin(); p != panels_.rend(); ++p) {
      curve_panel& piece = turned.emplace_back();
      piece.low = -(p->low + p->width);
      piece.high = -p->low;
      for (std::size_t i = 0; i < chebyshev::size; ++i) {
        const std::size_t j = chebyshev::size - 1 - i;
        piece.log_density[i] = top + (p->exponent[j] + step * p->exponent_by_scale[j]);
      }
    }
    return {chart{chart::kind::distance}, std::move(turned)};
  }

  /// The step in log y after which the density integrates to one. It is one step of Newton's method, and up to six more if the
  /// mass is still off by more than 1e-10.
  [[nodiscard]] double missing_step() const {
    double step = -last_.value / (last_.slope * scale_);
    for (int i = 0; i < 6; ++i) {
      double mass = -1, growth = 0;
      for (const panel& p : panels_) {
        chebyshev::values density, by_step;
        for (std::size_t k = 0; k < chebyshev::size; ++k) {
          const double direction = 1 + p.exponent_by_scale[k];
          density[k] = 0.5 * p.width * scale_ * std::exp(p.exponent[k] + step * direction);
          by_step[k] = density[k] * direction;
        }
        mass += chebyshev::points().integrate(density);
        growth += chebyshev::points().integrate(by_step);
      }
      if (std::abs(mass) <= 1e-10) break;
      step -= mass / growth;
    }
    return step;
  }

 private:
  static constexpr double overshoot = 1e-3;

  /// B and h at the start of a panel, and their derivatives with respect to log y.
  struct state {
    double above = 0;
    double exponent = 0;
    double above_by_scale = 0;
    double exponent_by_scale = 0;
  };
  struct panel {
    double low;
    double width;
    std::vector<chebyshev::values> base = {};  ///< p_i·g_i^base/β at the points, for every pair of procedures
    chebyshev::values above = {};
    chebyshev::values exponent = {};
    chebyshev::values above_by_scale = {};
    chebyshev::values exponent_by_scale = {};
    chebyshev::values density = {};
    chebyshev::values rate = {};
    bool solved = false;
  };

  void spend() {
    ++work_;
    shared_.left -= cost_;
  }

  /// The first panels: the width of the layer at the upper end, then doubling up to a quarter. A layer without a width has no end,
  /// and is given up.
  void start(double y) {
    scale_ = y;
    double width = std::min(0.25, 1 / (1 + y + played_.slope(1, 1) / beta_));
    for (double low = 0; low < 1 && !gave_up(); width = std::min(0.25, 2 * width)) {
      const bool last = 1 - low < 1.5 * width;
      panels_.push_back(make(low, last ? 1 - low : width));
      low = last ? 1 : low + width;
    }
  }
  [[nodiscard]] panel make(double low, double width) const {
    panel fresh{low, width};
    fresh.base.resize(terms_);
    for (std::size_t term = 0; term < terms_; ++term) {
      const matchup::pair& pair = played_.pairs()[term];
      for (std::size_t i = 0; i < chebyshev::size; ++i) {
        const double w = low + 0.5 * width * (1 + chebyshev::points().node[i]);
        fresh.base[term][i] = pair.probability / beta_ * pair.base.density(std::max(0.0, 1 - w));
      }
    }
    return fresh;
  }
  void split(std::list<panel>::iterator k) {
    const double half = 0.5 * k->width;
    const double low = k->low;
    panels_.insert(std::next(k), make(low + half, half));
    *k = make(low, half);
  }

  /// `k(F + by, u)/β` at the points.
  [[nodiscard]] chebyshev::values fall(const panel& p, double by) const {
    chebyshev::values rate{};
    for (std::size_t term = 0; term < terms_; ++term) {
      const auto& density = played_.pairs()[term].policy.density;
      for (std::size_t i = 0; i < chebyshev::size; ++i)
        rate[i] += p.base[term][i] * density(std::clamp(1 - p.above[i] + by, 0.0, 1.0));
    }
    return rate;
  }

  /// Iterates the integral equation on one panel; false if the panel is too wide.
  [[nodiscard]] bool integrate(panel& p, const state& at) {
    const chebyshev& points = chebyshev::points();
    const double half = 0.5 * p.width;
    predict(p, at);
    double change = 1;
    for (int sweep = 0; sweep < 24; ++sweep) {
      for (std::size_t i = 0; i < chebyshev::size; ++i) p.density[i] = scale_ * std::exp(p.exponent[i]);
      p.above = points.primitive(p.density);
      for (double& b : p.above) b = at.above + half * b;
      p.rate = fall(p, 0);
      spend();
      chebyshev::values next = points.primitive(p.rate);
      const double before = change;
      change = 0;
      for (std::size_t i = 0; i < chebyshev::size; ++i) {
        next[i] = at.exponent - half * next[i];
        // A change of the exponent matters less where the policy has little mass.
        change = std::max(change, std::abs(next[i] - p.exponent[i]) * (std::min(1.0, half * p.density[i]) + 1e-3));
      }
      p.exponent = next;
      if (!(change < 1e6)) return false;
      if (change < tolerance_ || (change < 100 * rounding && change > 0.5 * before)) return p.solved = resolved(p);
    }
    return false;
  }
  void predict(panel& p, const state& at) const {
    if (!p.solved || std::abs(step_) > 0.5) {
      p.exponent.fill(at.exponent);
      return;
    }
    for (std::size_t i = 0; i < chebyshev::size; ++i) p.exponent[i] += step_ * p.exponent_by_scale[i];
    const double shift = at.exponent - p.exponent.front();
    for (double& e : p.exponent) e += shift;
  }
  [[nodiscard]] bool resolved(const panel& p) const {
    const chebyshev& points = chebyshev::points();
    if (p.width < 1e-13) return true;
    // Where B exceeds 1, F would be negative. There only the sign of the miss matters, so that a low accuracy is enough; but
    // not none, lest a wild iterate be taken for an overshoot.
    if (p.above.back() > 1 + overshoot) return points.tail(p.density) * p.width < 0.1 * overshoot;
    const double small = 10 * tolerance_;
    return points.tail(p.density) * p.width < small &&
           points.tail(p.rate) * p.width < small * (1 + std::abs(p.exponent.back()));
  }

  /// The derivative of the solution with respect to log y. It only steers Newton's method and the prediction, so a difference
  /// quotient is good enough for the derivative of k.
  void linearise(panel& p, const state& at) {
    const chebyshev& points = chebyshev::points();
    constexpr double difference = 1e-6;
    const double half = 0.5 * p.width;
    chebyshev::values stiffness = fall(p, difference);
    spend();
    for (std::size_t i = 0; i < chebyshev::size; ++i) stiffness[i] = (stiffness[i] - p.rate[i]) / difference;
    p.exponent_by_scale.fill(at.exponent_by_scale);
    double change = 1;
    for (int sweep = 0; sweep < 24 && change > 1e-7; ++sweep) {
      chebyshev::values growth;
      for (std::size_t i = 0; i < chebyshev::size; ++i) growth[i] = p.density[i] * (1 + p.exponent_by_scale[i]);
      growth = points.primitive(growth);
      for (std::size_t i = 0; i < chebyshev::size; ++i) {
        p.above_by_scale[i] = at.above_by_scale + half * growth[i];
        growth[i] = stiffness[i] * p.above_by_scale[i];
      }
      growth = points.primitive(growth);
      change = 0;
      for (std::size_t i = 0; i < chebyshev::size; ++i) {
        const double next = at.exponent_by_scale + half * growth[i];
        change = std::max(change, std::abs(next - p.exponent_by_scale[i]) / (1 + std::abs(next)));
        p.exponent_by_scale[i] = next;
      }
    }
  }

  const matchup& played_;
  double beta_;
  std::size_t terms_;
  effort& shared_;
  long cost_;
  double scale_ = 1;
  double step_ = 0;
  double tolerance_ = rounding;
  miss last_ = {0, 1};
  long work_ = 0;
  std::list<panel> panels_;  // thousands are split one after another
};

}  // namespace infalign::detail
