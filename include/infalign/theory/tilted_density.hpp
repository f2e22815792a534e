// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy that a transform and a KL weight lead to, known before any training.
#pragma once

#include <cmath>
#include <random>
#include <utility>

#include "infalign/core/error.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/theory/detail/tilt_family.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// The policy that maximises `E[Φ(C)] - β·KL`, described by the quantile u that its rewards have under the base policy. Rewards
/// are taken to have no ties, so that u is uniform on [0, 1] under the base. Under this policy it has the density
/// `f(u) = e^{Φ(u)/β}/Z`; KL and win rates depend on Φ and β alone.
///
/// Example: for `logarithm` and `β = 1/3` the density is `4u³`, which is the best-of-4 policy; its KL is `log 4 - 3/4` and its
/// standard win rate 4/5.
///
/// Integrals are taken by quadrature in the logit of u, on pieces that are halved until they are resolved; `normal_quantile`
/// has closed forms. The relative error of Z, KL and W is about 1e-13 for any β, even where KL is 1e-10 or where all mass lies
/// in a layer of width 1e-10, because Φ is integrated from its derivative and no large exponents are subtracted. The kinks of
/// `tabulated` and `clamped` transforms are known; a kink of another transform costs time. A transform that is infinite at 1, or
/// varies there on a scale below 1e-12, is resolved by its `derivative_near_one`; without that member, up to 1 - 2^-53.
///
/// Cost: about 0.2 ms to construct, 0.1 ms a win rate; at most some tenths of a second and 20 MB. Errors: `domain_error` unless
/// `β > 0`; for an argument outside [0, 1]; and with the name of the transform, if
/// - β is so small that the policy's mass would lie within 1e-280 of 1, or below 1e-300 times the range of Φ;
/// - Φ' is not finite at a point of (0, 1), or everywhere so small that it counts as rounding: below 1e-280, but not 0;
/// - Φ has more than 10,000 kinks, or kinks that it does not list and that take more than 20,000 panels to resolve.
///
/// Source: InfAlign (arXiv 2412.19792); the win rate of any pair of procedures is derived.
template <class Transform>
class tilted_density {
 public:
  tilted_density(Transform transform, kl_weight beta) : transform_(std::move(transform)), beta_(beta.value) {
    detail::expects_transform<Transform>();
    expects<domain_error>(beta_ > 0, "tilted_density", "beta is ", beta_, ", must be positive");
    detail::tilt_family family(transform_);
    curve_ = family.curve(beta_);
    log_normalizer_ = family.log_normalizer();
  }

  [[nodiscard]] const Transform& transform() const { return transform_; }
  [[nodiscard]] double beta() const { return beta_; }
  /// `log Z = log ∫ e^{Φ(u)/β} du`.
  [[nodiscard]] double log_normalizer() const { return log_normalizer_; }
  /// `∫ f·log f`, accurate also where it is small.
  [[nodiscard]] double kl() const { return curve_.kl(); }
  /// `∫ u·f(u) du`.
  [[nodiscard]] double standard_win_rate() const { return curve_.mean(); }
  /// `∫ Σ_i p_i·G_i^base(u) dG_i(F(u))`. It needs the distortions alone, not their densities.
  [[nodiscard]] double win_rate(const matchup& played) const { return curve_.win_rate(played); }
  template <detail::played_procedure Procedure, detail::played_procedure BaseProcedure>
  [[nodiscard]] double win_rate(const Procedure& procedure, const BaseProcedure& base_procedure) const {
    return win_rate(matchup(procedure, base_procedure));
  }

  [[nodiscard]] double density(double u) const { return std::exp(log_density(u)); }
  [[nodiscard]] double log_density(double u) const {
    if (curve_.covers(in_range("log_density", u))) return curve_.log_density(u);
    return static_cast<double>(transform_(u)) / beta_ - log_normalizer_;
  }
  [[nodiscard]] double cdf(double u) const { return curve_.cdf(in_range("cdf", u)); }
  [[nodiscard]] double quantile(double p) const { return curve_.quantile(in_range("quantile", p)); }
  /// A random draw: the quantile of a uniform number in [0, 1) from `generator`, for example a `std::mt19937`.
  template <class Generator>
  [[nodiscard]] double sample(Generator& generator) const {
    return quantile(std::generate_canonical<double, 53>(generator));
  }

 private:
  static double in_range(const char* what, double value) {
    expects<domain_error>(value >= 0 && value <= 1, "tilted_density", what, " of ", value, ", must be in [0, 1]");
    return value;
  }

  Transform transform_;
  double beta_;
  double log_normalizer_;
  detail::density_curve curve_;
};

}  // namespace infalign
