// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/weights.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

/// The β of IPO at which its target `1/(2β)` is the mean margin that the best-of-n policy has between the best and the worst of n samples
/// of the base: `β_n = 1/(2·(n-1)·H_{n-1})` with the harmonic number `H`, as `E[log(n·U₍ₙ₎^{n-1}) - log(n·U₍₁₎^{n-1})] = (n-1)·H_{n-1}`
/// for uniform quantiles `U`. For n = 8 it is 0.0275482. Cost: n divisions. Errors: `domain_error` unless n ≥ 2.
INFALIGN_KEYED inline kl_weight bonbon_beta(index_t n) {
  expects<domain_error>(n >= 2, "bonbon_beta", "n is ", n, ", must be at least 2");
  double harmonic = 0;
  for (index_t k = n - 1; k >= 1; --k) harmonic += 1 / static_cast<double>(k);
  return kl_weight(0.5 / (static_cast<double>(n - 1) * harmonic));
}

/// BoNBoN: the policy of best-of-n from n samples a prompt, by imitation of the best one and IPO of the best against the worst:
/// `loss = -α·log π(chosen) + (1-α)·(h - 1/(2β_n))²`, with `β_n` of `bonbon_beta`. `best_and_worst` makes the pairs. Source: Gui et al.,
/// BoNBoN Alignment, arXiv 2406.00832.
struct bonbon {
  static constexpr bool needs_base_log_prob = true;
  double target;  ///< `1/(2β_n) = (n-1)·H_{n-1}`
  double alpha;

  /// Errors: `domain_error` unless n ≥ 2 and α is in [0, 1].
  explicit bonbon(index_t n, double imitation = 0.005) : target(0.5 / bonbon_beta(n).value), alpha(imitation) {
    expects<domain_error>(alpha >= 0 && alpha <= 1, "bonbon", "alpha is ", alpha, ", must be in [0, 1]");
  }
  INFALIGN_HD pair_value operator()(const response_row& chosen, const response_row& rejected) const {
    const margin_value v = detail::squared_distance(detail::margin_of(chosen, rejected), target);
    const double margin = detail::capped_product(1 - alpha, v.value), slope = (1 - alpha) * v.by_margin;
    return {detail::capped_sum(margin, -detail::capped_product(alpha, chosen.log_prob)), slope - alpha, -slope};
  }
};

}  // namespace infalign
