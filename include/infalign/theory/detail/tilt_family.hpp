// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "infalign/core/math.hpp"
#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/detail/kl_inversion.hpp"
#include "infalign/theory/detail/tilt.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/normal_quantile.hpp"

namespace infalign::detail {

/// `log Z = 1/(2β²)`, `KL = 1/(2β²)`: with the normal quantile z of u, the density is that of `N(1/β, 1)` to `N(0, 1)`.
inline density_curve normal_curve(double beta) {
  // Further up, panels would be thinner than rounding; all is at u = 1 long before.
  const double shift = std::min(1 / beta, 1e9);
  const chart where{chart::kind::normal};
  // Beyond 12 either side of both centres lies less than 1e-32.
  std::vector<double> edges;
  for (double x = -12; x < 12; x += 1.5) edges.push_back(x);
  for (double x = std::max(12.0, shift - 12); x <= shift + 12; x += 1.5) edges.push_back(x);
  edges.push_back(shift + 13.5);
  std::vector<curve_panel> panels;
  for (std::size_t k = 0; k + 1 < edges.size(); ++k) {
    curve_panel& panel = panels.emplace_back(curve_panel{edges[k], edges[k + 1]});
    for (std::size_t i = 0; i < chebyshev::size; ++i) {
      const double x = panel.at(i);
      panel.log_density[i] = shift * (x - 0.5 * shift);
      panel.u[i] = where.at(x).u;
      panel.below[i] = where.at(x - shift).u;
      panel.above[i] = where.at(shift - x).u;
    }
  }
  return {where, std::move(panels), 0.5 / beta / beta, where.at(0.70710678118654752440 * shift).u};
}

/// All tilted densities of a transform: closed forms for the normal quantile, quadrature otherwise; a factor is a change of β.
class tilt_family {
 public:
  template <class Transform>
  explicit tilt_family(const Transform& transform) {
    take(transform);
  }

  /// KL at β.
  double kl(double beta) {
    beta_ = beta;
    return quadrature_ ? quadrature_->at(beta / factor_).kl : 0.5 * factor_ / beta * factor_ / beta;
  }
  /// The density at β.
  [[nodiscard]] density_curve curve(double beta) {
    kl(beta);
    return quadrature_ ? quadrature_->curve() : normal_curve(beta / factor_);
  }
  /// At the β of the last call of `kl` or `curve`.
  [[nodiscard]] double log_normalizer() const {
    if (!quadrature_) return 0.5 * factor_ / beta_ * factor_ / beta_ + offset_ / beta_;
    const double top = value_(quadrature_->anchor());
    if (top - top == 0) return top / beta_ + quadrature_->moments().log_mass;
    return value_(0.5) / beta_ - quadrature_->curve().log_density(0.5);
  }
  [[nodiscard]] double largest_kl() const { return quadrature_ ? quadrature_->largest_kl() : infinity<double>; }
  /// The β at a KL, which is set with it; none if no β reaches it.
  std::optional<double> beta_at(double target) {
    if (target >= largest_kl()) return std::nullopt;
    if (!quadrature_) return beta_ = factor_ / std::sqrt(2 * target);
    const double range = factor_ * quadrature_->range();
    const double beta = beta_at_kl([this](double at) { return kl(at); }, target, 0.25 * range, 1e-200 * range);
    if (beta == 0) return std::nullopt;
    return beta;
  }

 private:
  template <class Transform>
  void take(const Transform& transform) {
    // Of one that holds another, only the closed form needs its type: the rest is compiled once for all that it may hold.
    if constexpr (requires { transform.visit([](const auto&) { return false; }); })
      if (transform.visit([]<class Held>(const Held&) { return std::same_as<Held, normal_quantile>; })) return;
    value_ = [transform](double u) { return static_cast<double>(transform(u)); };
    quadrature_.emplace([transform](double u) { return static_cast<double>(transform.derivative(u)); }, kinks_of(transform));
  }
  void take(const normal_quantile&) {}
  template <class Inner>
  void take(const scaled<Inner>& transform) {
    take(transform.inner);
    factor_ *= transform.factor;
    offset_ *= transform.factor;
    if (value_) value_ = [transform](double u) { return static_cast<double>(transform(u)); };
  }
  template <class Inner>
  void take(const shifted<Inner>& transform) {
    take(transform.inner);
    offset_ += transform.offset;
    if (value_) value_ = [transform](double u) { return static_cast<double>(transform(u)); };
  }

  std::function<double(double)> value_;
  std::optional<tilting> quadrature_;
  double factor_ = 1;
  double offset_ = 0;
  double beta_ = 1;
};

}  // namespace infalign::detail
