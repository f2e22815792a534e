// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "infalign/theory/detail/kl_inversion.hpp"
#include "infalign/theory/detail/tilt_family.hpp"

namespace infalign::detail {

INFALIGN_INLINE density_curve normal_curve(double beta) {
  // For a larger shift the panels would be narrower than the spacing of doubles; all mass is at u = 1 long before.
  const double shift = std::min(1 / beta, 1e9);
  const chart where{chart::kind::normal};
  // Farther than 12 from both centres lies a mass of less than 1e-32.
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

INFALIGN_INLINE bool tilt_family::resolves(double beta) {
  const double inner = beta / factor_;
  if (!(beta >= 1e-300 && inner < infinity<double>)) return false;
  return quadrature_ ? quadrature_->resolves(inner) : inner >= 1e-150;  // the closed form's KL must be finite
}

INFALIGN_INLINE double tilt_family::kl(double beta) {
  expects<domain_error>(resolves(beta), "tilted_density", "beta is ", beta, ", too small for ", name_,
                        ": the policy would have mass closer to 1 than can be resolved");
  beta_ = beta;
  return quadrature_ ? quadrature_->at(beta / factor_).kl : 0.5 * factor_ / beta * factor_ / beta;
}

INFALIGN_INLINE density_curve tilt_family::curve(double beta) {
  kl(beta);
  return quadrature_ ? quadrature_->curve() : normal_curve(beta / factor_);
}

INFALIGN_INLINE double tilt_family::log_normalizer() const {
  if (!quadrature_) return 0.5 * factor_ / beta_ * factor_ / beta_ + offset_ / beta_;
  const double top = value_(quadrature_->anchor());
  if (top - top == 0) return top / beta_ + quadrature_->moments().log_mass;
  return value_(0.5) / beta_ - quadrature_->curve().log_density(0.5);
}

INFALIGN_INLINE std::optional<double> tilt_family::beta_at(double target) {
  if (target >= largest_kl()) return std::nullopt;
  if (!quadrature_) return beta_ = factor_ / std::sqrt(2 * target);
  const double range = factor_ * quadrature_->range();
  double reached = 0;
  const auto kl_at = [&](double at) { return reached = resolves(at) ? kl(at) : infinity<double>; };
  const double beta = beta_at_kl(kl_at, target, 0.25 * range, std::max(1e-300, 1e-280 * range));
  if (beta == 0 || !(std::abs(reached - target) <= 1e-9 * target)) return std::nullopt;
  return beta;
}

}  // namespace infalign::detail
