// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/math.hpp"
#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/detail/tilt.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/normal_quantile.hpp"

namespace infalign::detail {

/// The tilted density of the normal quantile, in closed form. In terms of `z = Φ_N⁻¹(u)` the policy is `N(1/β, 1)` where the
/// base is `N(0, 1)`; so `log Z = KL = 1/(2β²)`.
density_curve normal_curve(double beta);

/// The tilted densities of a transform at any β: closed forms for the normal quantile, quadrature otherwise. A factor of the
/// transform (`scaled`) is taken as a change of β.
class tilt_family {
 public:
  template <class Transform>
  explicit tilt_family(const Transform& transform) : name_(transform.name()) {
    take(transform);
  }

  /// Whether β > 0 is within what can be resolved.
  [[nodiscard]] bool resolves(double beta);
  /// KL at β. Errors: `domain_error` unless `resolves(beta)`.
  double kl(double beta);
  /// The density at β.
  [[nodiscard]] density_curve curve(double beta);
  /// `log ∫ e^{Φ/β}` at the β of the last call of `kl` or `curve`.
  [[nodiscard]] double log_normalizer() const;
  [[nodiscard]] double largest_kl() const { return quadrature_ ? quadrature_->largest_kl() : infinity<double>; }
  /// The β whose KL is `target`; it becomes the current β. None if no β reaches it.
  std::optional<double> beta_at(double target);

 private:
  template <class Transform>
  void take(const Transform& transform) {
    // Of one that holds another, only the closed form needs its type: the rest is compiled once for all that it may hold.
    if constexpr (requires { transform.visit([](const auto&) { return false; }); })
      if (transform.visit([]<class Held>(const Held&) { return std::same_as<Held, normal_quantile>; })) return;
    value_ = [transform](double u) { return static_cast<double>(transform(u)); };
    const auto slope = [transform](double u, double rest) { return derivative_at(transform, u, rest); };
    quadrature_.emplace(transform.name(), slope, kinks_of(transform));
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

  std::string name_;
  std::function<double(double)> value_;
  std::optional<tilting> quadrature_;
  double factor_ = 1;
  double offset_ = 0;
  double beta_ = 1;
};

}  // namespace infalign::detail

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/tilt_family.hpp"
#endif
