// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>

#include "infalign/core/weights.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// QRPO: regression of the log-ratio of single responses on their transformed rewards, without pairs:
/// `loss = (Φ(u) - β·log Z - β·log π/π₀)²`. It is 0 exactly at the policy that maximises `E[Φ(u)] - β·KL`. `Φ(u)` is the response's
/// `reward`, from `calibrate_transform` with the same transform.
///
/// \code
/// const infalign::tilted_density optimum(infalign::exponential(5), infalign::kl_weight(0.5));   // infalign/theory.hpp
/// const infalign::qrpo loss(optimum);                                                           // its β and its log Z
/// \endcode
///
/// `log Z = log ∫₀¹ e^{Φ(u)/β} du` is exact for any transform: for the identity 0.541, 1.161 and 2.093 at β = 1, ½ and 0.3. (The
/// approximation `log β + 1/β` for the identity is larger by 0.459 at β = 1.) Source: Matrenok et al., arXiv 2507.08068.
struct qrpo {
  static constexpr bool needs_base_log_prob = true;
  double beta;
  double log_normalizer;  ///< `log Z`

  /// Errors: `domain_error` unless β is positive and `log Z` finite.
  qrpo(kl_weight weight, double log_z) : beta(detail::positive_beta("qrpo", weight.value)), log_normalizer(log_z) {
    expects<domain_error>(log_z - log_z == 0, "qrpo", "log_normalizer is ", log_z, ", must be finite");
  }
  /// From a `tilted_density`, or what else knows its β and its log Z.
  template <class Density>
    requires requires(const Density& density) {
      { density.beta() } -> std::convertible_to<double>;
      { density.log_normalizer() } -> std::convertible_to<double>;
    }
  explicit qrpo(const Density& optimum) : qrpo(kl_weight(optimum.beta()), optimum.log_normalizer()) {}

  INFALIGN_HD response_value operator()(const response_row& y) const {
    const margin_value v = detail::squared_distance(detail::capped_product(beta, y.log_ratio + log_normalizer), y.reward);
    return {v.value, detail::capped_product(beta, v.by_margin)};
  }
};

}  // namespace infalign
