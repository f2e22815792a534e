// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// What the bounds of an importance weight do.
enum class weight_rule : unsigned char {
  truncate,  ///< a weight outside is the bound
  mask,      ///< a weight outside is 0
};

/// Of what an importance weight is the ratio.
enum class weight_level : unsigned char {
  token,          ///< of a token
  sequence,       ///< of the response: the product of its tokens'
  sequence_mean,  ///< of the response, per token: the geometric mean
};

/// An importance weight `exp(log-ratio)`, truncated to [low, high] or masked outside.
struct importance_weight {
  weight_rule rule = weight_rule::truncate;
  double high = 2;
  double low = 0;
  weight_level level = weight_level::token;

  /// The weight of a log-ratio; NaN stays.
  INFALIGN_HD double operator()(double log_ratio) const {
    const double weight = detail::capped_exp(log_ratio);
    if (rule == weight_rule::mask) return weight < low || weight > high ? 0 : weight;
    return detail::clip(weight, low, high);
  }
};

namespace detail {
INFALIGN_KEYED inline void check_weight(std::string_view function, const importance_weight& weight) {
  expects<domain_error>(weight.high > 0, function, "high is ", weight.high, ", must be positive");
  expects<domain_error>(weight.low >= 0 && weight.low <= weight.high, function, "low is ", weight.low, ", must be in [0, ",
                        weight.high, "]");
}
}  // namespace detail

/// A loss times an importance weight: what `importance_weighted` returns.
template <class Loss>
struct weighted_loss {
  static constexpr bool needs_old_log_prob = true;
  static constexpr bool needs_base = detail::needs_base<Loss>;
  static constexpr bool needs_base_log_prob = detail::needs_base_log_prob<Loss>;
  static constexpr bool needs_entropy = detail::needs_entropy<Loss>;
  Loss loss;
  importance_weight weight;

  INFALIGN_HD double sequence_term(const token_row& row) const
    requires detail::has_sequence_term<Loss>
  {
    return loss.sequence_term(row);
  }
  INFALIGN_HD loss_value operator()(const token_row& row) const {
    const loss_value v = loss(row);
    const double w = weight(log_ratio(row));
    return {times(w, v.value), times(w, v.by_log_prob), times(w, v.by_kl), times(w, v.by_entropy)};
  }

 private:
  /// 0 if either is 0, whatever the other: an infinite loss that is masked, or a ratio of 0 to 0 where the advantage is 0.
  INFALIGN_HD static double times(double w, double x) { return x == 0 ? 0 : detail::capped_product(w, x); }
  INFALIGN_HD double log_ratio(const token_row& row) const {
    if (weight.level == weight_level::token) return row.log_prob - row.old_log_prob;
    return weight.level == weight_level::sequence ? row.sequence_log_ratio * static_cast<double>(row.sequence_length)
                                                  : row.sequence_log_ratio;
  }
};

/// `sg(w)·loss`: the loss times an importance weight of the policy against the one that sampled, whose log-probabilities are given as
/// the old ones. The weight is not differentiated. For example, REINFORCE that corrects for a sampler of other precision or an earlier
/// policy, truncated (TIS): `importance_weighted(reinforce{}, {.high = 2})`.
///
/// - A weight of 0, by masking or underflow, makes the loss and its derivatives 0. Sums over a response are taken in logarithms.
/// - If three policies differ (the one that is trained, the one at rollout, the sampler), the weight of rollout against sampler does not
///   depend on what is trained: multiply the advantages by `importance_weights` instead. Every loss of the library is proportional to
///   them.
/// - A KL term is not weighted if it is added outside: `with_kl(importance_weighted(loss, …), term)`, as in TRL.
/// - Levels of a response are for `sequence_policy_gradient`. In `policy_gradient` each token is its own response.
/// - Errors: `domain_error` unless `0 <= low <= high` and `high > 0`.
template <class Loss>
INFALIGN_KEYED weighted_loss<Loss> importance_weighted(const Loss& loss, const importance_weight& weight) {
  detail::assert_loss<Loss>();
  detail::check_weight("importance_weighted", weight);
  return {loss, weight};
}

}  // namespace infalign
