// SPDX-License-Identifier: Apache-2.0
/// \file
/// KL-regularised policy gradients straight from logits: loss, statistics and the gradient with respect to every logit, with no
/// array of probabilities in between.
#pragma once

#include <cstdint>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/objective/detail/logits_row.hpp"
#include "infalign/objective/policy_loss.hpp"
#include "infalign/objective/token_statistics.hpp"

namespace infalign {

/// Weights of the terms of the loss. `scale` multiplies everything, for example 1/(number of rollouts) for a mean.
struct objective_weights {
  kl_weight kl{0};
  entropy_weight entropy{0};
  double scale = 1;
};

namespace detail {

/// Both passes over one token's row, the second while the row is still in cache.
template <class Terms, class L, class A, class Loss, class T, class G, class Space>
struct policy_gradient_kernel {
  token_logits<L, Space> batch;
  const A* advantages;
  Loss loss;
  row_gradient weights;
  double scale;
  statistics_pointers<T> statistics;
  rows<G, Space> gradient;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    const L* row = batch.policy[t].data();
    const L* base = batch.base_row(t);
    const index_t columns = batch.policy.columns();
    auto kept = room_for_exponentials<Team>(row, gradient[t].data());
    const auto s = read_row<Terms>(team, row, base, columns, batch.tokens[t], kept);
    const auto advantage = static_cast<double>(advantages[t]);
    row_gradient c = weights;
    c.score = scale * loss.score_weight(s.log_prob(), advantage, t);
    team.once([&] { statistics.store(t, s, loss, advantage); });
    write_gradient<Terms>(team, row, base, columns, batch.tokens[t], s, c, kept, gradient[t].data());
  }
};

template <class B, class G, class Space, class L>
void check_gradient(B& on, std::string_view function, const rows<G, Space>& gradient, const rows<L, Space>& logits) {
  expects_groups(on, function, "gradient", gradient);
  expects<shape_error>(gradient.size() == logits.size() && gradient.columns() == logits.columns(), function, "gradient is ",
                       gradient.size(), " x ", gradient.columns(), ", but logits is ", logits.size(), " x ", logits.columns());
}

template <class L, class Space>
void check_weights(std::string_view function, const objective_weights& weights, const token_logits<L, Space>& batch) {
  expects<domain_error>(!batch.base.empty() || batch.policy.empty() || weights.kl.value == 0, function, "weights.kl is ",
                        weights.kl.value, ", needs base logits");
  expects<domain_error>(weights.scale - weights.scale == 0, function, "weights.scale is ", weights.scale, ", must be finite");
}

inline row_gradient scaled_weights(const objective_weights& weights) {
  return {0, weights.scale * weights.kl.value, weights.scale * weights.entropy.value};
}

}  // namespace detail

/// Loss and gradient of `scale·Σ_t [loss(log π(a_t), A_t) + β·KL_t - η·H_t]` with respect to the logits, per token.
///
/// For the row of token `a` with softmax `p`, base softmax `q` and `w = -dloss/dlog π(a)`:
/// `dL/dl_j = scale·{p_j·[w + β·(log p_j - log q_j - KL) + η·(log p_j + H)] - w·1{j = a}}`.
///
/// - `loss`: `reinforce{}`, `clipped_surrogate(old_log_prob, 0.2, 0.2)`, or a type of your own (see `policy_loss.hpp`).
/// - Shapes: `batch` T×V logits, any V; `advantages` T values; `gradient` T×V, rows possibly strided; non-empty spans of
///   `statistics` T values. `gradient` may be the policy's logits themselves: it then replaces them, and takes
///   longer (the exponentials, kept in the gradient between the passes otherwise, are computed twice).
/// - The KL is exact (whole vocabulary) and its gradient is that of each token's own term. Tokens sampled from the policy
///   also decide the KL of the tokens that follow them; for that, use `sequence_policy_gradient`.
/// - -inf logits are masked tokens: probability and gradient 0; one that was sampled all the same gets `-scale·w`. NaN logits
///   give NaN in their row alone. Where the KL is infinite its gradient is NaN.
/// - Cost: reads each logit once from memory, writes each gradient once; no extra memory. Sums of `float` logits are taken in
///   registers over chunks of 4,096 and in `double` across them. Deterministic; equal for every number of threads.
/// - Errors: `shape_error`, `domain_error` (token id out of range, β > 0 without a base, advantage NaN or infinite), before
///   anything is written.
template <backend B, class Loss, class L, class Advantages, class T, class G, class Space>
  requires reachable_from<B, token_logits<L, Space>>
void policy_gradient(B&& on, const Loss& loss, const token_logits<L, Space>& batch, const Advantages& advantages,
                     const objective_weights& weights, const token_statistics<T, Space>& statistics,
                     const rows<G, Space>& gradient) {
  constexpr std::string_view function = "policy_gradient";
  const span values(advantages);
  static_assert(reachable_from<B, decltype(values)>, "the views must live in the memory of the backend");
  if constexpr (requires { typename Loss::memory_space; })
    static_assert(reachable_from<B, Loss>, "the data of the loss must live in the memory of the backend");
  detail::check_logits(on, function, batch);
  detail::check_statistics(function, statistics, batch.tokens.size());
  detail::check_gradient(on, function, gradient, batch.policy);
  detail::check_weights(function, weights, batch);
  expects<shape_error>(values.size() == batch.tokens.size(), function, "advantages has ", values.size(),
                       " values, but there are ", batch.tokens.size(), " tokens");
  detail::expects_finite(on, function, "advantages", values);
  if constexpr (requires { loss.check(function, values.size()); }) loss.check(function, values.size());
  using A = typename decltype(values)::value_type;
  const bool wants_entropy = weights.entropy.value > 0 || !statistics.entropy.empty();
  detail::with_terms(batch, wants_entropy, [&](auto terms) {
    on.groups(batch.policy.size(), 2 * detail::logits_cost(batch),
              detail::policy_gradient_kernel<decltype(terms), L, A, Loss, T, G, Space>{
                  batch, values.data(), loss, detail::scaled_weights(weights), weights.scale, detail::pointers(statistics),
                  gradient});
  });
}

}  // namespace infalign
