// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// SAPO: a smooth gate in place of the clip, `loss = -(4/τ)·σ(τ·(ρ - 1))·A`. The derivative is `-4·σ·(1 - σ)·ρ·A`, on policy that of
/// REINFORCE. τ is that for positive advantages if A > 0, else the other. Source: Gao et al., arXiv 2511.20347. verl clamps the
/// log-ratio to `{-20, 20}`, TRL does not.
struct sapo {
  static constexpr bool needs_old_log_prob = true;
  double positive_temperature;
  double negative_temperature;
  log_ratio_range log_ratio;

  /// Errors: `domain_error` unless both τ are positive, τ and 4/τ are finite, and 0 is in the range of log-ratios.
  explicit sapo(double positive = 1, double negative = 1.05, const log_ratio_range& range = {})
      : positive_temperature(positive), negative_temperature(negative), log_ratio(range) {
    check("positive_temperature", positive);
    check("negative_temperature", negative);
    detail::check_range("sapo", range);
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    using std::exp;
    const detail::likelihood_ratio ratio(row.log_prob - row.old_log_prob, log_ratio);
    const double tau = row.advantage > 0 ? positive_temperature : negative_temperature;
    const double x = tau * (ratio.value - 1);
    const double e = exp(x < 0 ? x : -x);  // at most 1
    const double gate = (x < 0 ? e : 1.0) / (1 + e);
    const double steepness = detail::product(e / ((1 + e) * (1 + e)), ratio.slope);  // 0 where the gate is flat, at any ratio
    return {-detail::capped_product(row.advantage, 4 / tau * gate), -detail::capped_product(row.advantage, 4 * steepness)};
  }

 private:
  INFALIGN_KEYED static void check(std::string_view name, double tau) {
    expects<domain_error>(tau > 0 && tau < infinity<double> && 4 / tau < infinity<double>, "sapo", name, " is ", tau,
                          ", must be positive, and it and 4/τ finite");
  }
};

}  // namespace infalign
