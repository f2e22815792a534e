// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/weights.hpp"
#include "infalign/objective/loss/kl_estimate.hpp"

namespace infalign {

/// What the estimate of a KL is multiplied by. `ρ = π/π_old` is the token's; without old log-probabilities it is 1.
enum class kl_importance : unsigned char {
  none,            ///< by 1
  ratio,           ///< by ρ, which is differentiated as well (TRL's `use_bias_correction_kl`)
  detached_ratio,  ///< by ρ, which is not
};

/// A penalty `β·KL` estimated from the sampled tokens. What is reported and what is differentiated are chosen separately: the value is
/// that of `value`, the derivative that of `gradient`, which is the same unless given. verl's `k3+` is
/// `{.beta = …, .value = {kl_estimator::k3, 10, {-20, 20}}, .gradient = {kl_estimator::k2}}`.
struct kl_term {
  kl_weight beta;
  kl_estimate value{};
  kl_estimate gradient = value;
  kl_importance importance = kl_importance::none;
};

/// A loss with a KL term: what `with_kl` returns.
template <class Loss>
struct loss_with_kl {
  static constexpr bool needs_old_log_prob = detail::needs_old_log_prob<Loss>;
  static constexpr bool needs_base = detail::needs_base<Loss>;
  static constexpr bool needs_base_log_prob = true;
  static constexpr bool needs_entropy = detail::needs_entropy<Loss>;
  Loss loss;
  kl_term kl;

  INFALIGN_HD double sequence_term(const token_row& row) const
    requires detail::has_sequence_term<Loss>
  {
    return loss.sequence_term(row);
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const double x = row.log_prob - row.base_log_prob;
    const double log_weight = kl.importance == kl_importance::none ? 0.0 : row.log_prob - row.old_log_prob;
    const double value = detail::weighted_estimate(kl.value, x, log_weight).value;
    const detail::weighted_kl of_gradient = detail::weighted_estimate(kl.gradient, x, log_weight);
    const double slope = kl.importance == kl_importance::ratio ? of_gradient.slope_with_ratio : of_gradient.slope;
    loss_value sum = loss(row);
    sum.value = detail::capped_sum(sum.value, detail::capped_product(kl.beta.value, value));
    sum.by_log_prob = detail::capped_sum(sum.by_log_prob, detail::capped_product(kl.beta.value, slope));
    return sum;
  }
};

/// `loss + β·KL`, the KL to the base policy estimated from the sampled token, as trainers do that have no logits of the base policy, only
/// the log-probabilities of the tokens: `token_data(advantages, old).with_base(base_log_prob)`. Where base logits are given, these are
/// not needed, and the exact KL over the vocabulary, `objective_weights::kl`, has no variance.
///
/// The estimators have different *gradients*, whatever their values: the derivative of an unbiased estimate need not estimate the
/// gradient. What is expected of the gradient of the term over β, if tokens are drawn from μ, whose log-probabilities are the old ones:
///
/// | `gradient` | `none`, on policy (μ = π) | `none`, off policy | `ratio`, any μ    | `detached_ratio`, any μ |
/// |------------|---------------------------|--------------------|-------------------|-------------------------|
/// | `k1`       | 0                         | `-∇KL(μ‖π)`        | **`∇KL(π‖π₀)`**   | 0                       |
/// | `absolute` | `∇‖π - π₀‖₁`              | `∇E_μ|x|`          | `∇E_π|x|`         | `∇‖π - π₀‖₁`            |
/// | `k2`       | **`∇KL(π‖π₀)`**           | `∇E_μ[x²/2]`       | `∇E_π[x²/2]`      | **`∇KL(π‖π₀)`**         |
/// | `k3`       | `∇KL(π₀‖π)`               | `∇E_μ[k3(x)]`      | **`∇KL(π‖π₀)`**   | `∇KL(π₀‖π)`             |
///
/// In bold what is meant by a KL penalty: off policy `ratio` with k3, of `ρ·x` a token, or `detached_ratio` with k2, which is the same;
/// on policy k2 as well. All are for one token given those before it; how a token changes the KL of later ones is in
/// `sequence_policy_gradient` with the exact KL. The ratio of a whole response, which TRL takes at its sequence level, has none of these
/// expectations and is not offered. The expected *value* is `KL(π‖π₀)` for k1 and k3, on policy or with ρ.
///
/// - Finite log-probabilities give finite numbers, at most `largest_loss` in size: also where `e^-x` overflows, where it meets a ratio
///   of 0, and where a clamp of the estimate meets an infinite slope. k3 is never negative.
/// - Log-probabilities of -inf give limits. If π₀(a) is 0, the estimate is +inf; its derivative is 1, and infinite for k2. If π(a) is 0,
///   the estimate is infinite; its derivative is finite for k1 and `absolute`, and infinite for k2 and k3. A clamp makes both finite.
///   The estimate is NaN if both are 0, and if a ratio of 0 meets k3. An infinite or undefined derivative makes the token's row of the
///   gradient NaN.
/// - Importance weights of the loss come first: `with_kl(importance_weighted(loss, …), term)`.
/// - Errors: `domain_error` for clamps that are not positive, or without 0 in their range.
template <class Loss>
INFALIGN_KEYED loss_with_kl<Loss> with_kl(const Loss& loss, const kl_term& term) {
  detail::assert_loss<Loss>();
  detail::check_estimate("with_kl", term.value);
  detail::check_estimate("with_kl", term.gradient);
  return {loss, term};
}

}  // namespace infalign
