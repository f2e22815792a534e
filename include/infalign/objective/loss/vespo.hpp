// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// The shape `w^k·e^{λ(1 - w)}`, 1 at w = 1, by which VESPO weights a response of ratio `w`. It is largest at `w = k/λ`.
struct gamma_weight {
  double k;
  double lambda;
};

/// VESPO: REINFORCE weighted by a smooth function of the response's ratio that is not differentiated,
/// `loss = -sg(w^k·e^{λ(1 - w)})·A·log π`, with `w = Π_t π/π_old`. `(k, λ)` are `positive` for A ≥ 0, else `negative`. As in TRL, each
/// token's log-ratio is clamped to [-20, 20] and `log w` to [log 1e-8, 20]. Source: arXiv 2602.10693.
///
/// For `sequence_policy_gradient`. In `policy_gradient` each token is its own response.
struct vespo {
  static constexpr bool needs_old_log_prob = true;
  gamma_weight positive;
  gamma_weight negative;

  /// Errors: `domain_error` unless every k is finite and not negative and every λ positive and finite.
  explicit vespo(gamma_weight of_positive = {2, 3}, gamma_weight of_negative = {3, 2})
      : positive(of_positive), negative(of_negative) {
    check("positive", positive);
    check("negative", negative);
  }
  INFALIGN_HD double sequence_term(const token_row& row) const {
    return detail::clip(row.log_prob - row.old_log_prob, -largest_log_ratio, largest_log_ratio);
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const double sum = detail::mean_sequence_term(*this, row) * static_cast<double>(row.sequence_length);
    const double log_w = detail::clip(sum, smallest_log_weight, largest_log_ratio);
    const gamma_weight& shape = row.advantage >= 0 ? positive : negative;
    const double weight = detail::capped_exp(shape.k * log_w + shape.lambda * (1 - detail::capped_exp(log_w)));
    const double score = detail::capped_product(row.advantage, weight);
    return {-detail::capped_product(score, row.log_prob), -score};
  }

 private:
  static constexpr double largest_log_ratio = 20;
  static constexpr double smallest_log_weight = -18.420680743952367;  // log 1e-8

  INFALIGN_KEYED static void check(std::string_view of, const gamma_weight& shape) {
    expects<domain_error>(shape.k >= 0 && shape.k - shape.k == 0, "vespo", of, ".k is ", shape.k,
                          ", must be finite and not negative");
    expects<domain_error>(shape.lambda > 0 && shape.lambda - shape.lambda == 0, "vespo", of, ".lambda is ", shape.lambda,
                          ", must be positive and finite");
  }
};

}  // namespace infalign
