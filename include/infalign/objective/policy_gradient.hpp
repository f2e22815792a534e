// SPDX-License-Identifier: Apache-2.0
/// \file
/// KL-regularised policy gradients straight from logits: loss, statistics and the gradient with respect to every logit, with no
/// array of probabilities in between.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/logits/passes.hpp"
#include "infalign/logits/token_statistics.hpp"
#include "infalign/objective/detail/check_objective.hpp"
#include "infalign/objective/loss/token_loss.hpp"

namespace infalign {

namespace detail {

/// The coefficients of the gradient of `scale·[loss + β·KL - η·H]` of one token.
INFALIGN_HD inline row_coefficients coefficients_of(const loss_value& loss, double beta, double eta, double scale) {
  return {-product(scale, loss.by_log_prob), scale * (beta + loss.by_kl), scale * (eta - loss.by_entropy)};
}

/// `old_log_prob` and `base_log_prob`: those of all tokens, or null.
template <class O>
INFALIGN_HD token_row token_row_of(const row_statistics& s, const O* old_log_prob, const O* base_log_prob, double advantage,
                                   index_t token, index_t position) {
  const double old = old_log_prob != nullptr ? static_cast<double>(old_log_prob[position]) : s.log_prob();
  return {s.log_prob(),
          old,
          base_log_prob != nullptr ? static_cast<double>(base_log_prob[position]) : s.base_log_prob(),
          s.kl,
          s.entropy,
          advantage,
          static_cast<std::int32_t>(token),
          position,
          position,
          1,
          s.log_prob() - old};
}

/// Both passes over one token's row, the second while the row is still in cache.
template <class Terms, class L, class A, class O, class Loss, class T, class G, class Space>
struct policy_gradient_kernel {
  row_batch<L, Space> batch;
  const A* advantages;
  const O* old_log_prob;
  const O* base_log_prob;
  token_weights<Space> token_weight;
  Loss loss;
  double beta;
  double eta;
  double scale;
  statistics_pointers<T> statistics;
  any_rows<G, Space> gradient;

  /// `room`: for the exponentials of a row, or null.
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t, compute_t<L>* room = nullptr) const {
    const L* row = batch.policy[t].data();
    const L* base = batch.base_row(t);
    const index_t columns = batch.policy[t].size();
    const double weight = batch.tokens.ignores(t) ? 0 : token_weight[t];
    if (weight == 0) {
      team.once([&] { statistics.store_nothing(t); });
      return clear_row(team, gradient[t].data(), columns);
    }
    const logit_map map = batch.map_of(t);
    auto kept = place_for_exponentials<Team>(row, base, gradient[t].data(), room);
    const auto s = statistics_of(read_row<Terms>(team, row, base, columns, batch.column(t), kept, map), Terms::value);
    const loss_value v =
        loss(token_row_of(s, old_log_prob, base_log_prob, static_cast<double>(advantages[t]), batch.tokens[t], t));
    team.once([&] { statistics.store(t, s, v.value); });
    write_gradient<Terms>(team, row, base, columns, batch.column(t), s, coefficients_of(v, beta, eta, weight * scale), kept,
                          gradient[t].data(), map);
  }
};

/// Both passes over every row. Where exponentials are kept but the gradient has no place for them, every team gets a row of room.
template <class B, class Kernel, class L, class G, class Space>
void run_both_passes(B& on, const Kernel& kernel, const row_batch<L, Space>& batch, const any_rows<G, Space>& gradient) {
  using T = compute_t<L>;
  const index_t tokens = batch.policy.size(), cost = 2 * logits_cost(batch);
  if constexpr (keeps_exponentials<typename std::remove_cvref_t<B>::team_type> &&
                requires { on.template groups_with_room<T>(tokens, cost, tokens, kernel); }) {
    const void* const target = gradient.data();
    const bool needs_room = !std::same_as<G, T> || target == batch.policy.data() || target == batch.base.data();
    if (needs_room) return on.template groups_with_room<T>(tokens, cost, batch.policy.columns(), kernel);
  }
  on.groups(tokens, cost, kernel);
}

/// `policy_gradient` without its checks.
template <class B, class Loss, class L, class A, class O, class T, class G, class Space>
void run_policy_gradient(B& on, const Loss& loss, const token_logits<L, Space>& batch, const token_data<A, O, Space>& data,
                         const objective_weights& weights, const token_statistics<T, Space>& statistics,
                         const any_rows<G, Space>& out) {
  const auto run = [&](const row_batch<L, Space>& rows_read, const any_rows<G, Space>& rows_out) {
    with_terms(rows_read, wants_entropy<Loss>(weights, statistics), [&]<class Terms>(Terms) {
      const policy_gradient_kernel<Terms, L, A, O, Loss, T, G, Space> kernel{rows_read,
                                                                             data.advantages.data(),
                                                                             data.old_log_prob.data(),
                                                                             data.base_log_prob.data(),
                                                                             data.weights,
                                                                             loss,
                                                                             weights.kl.value,
                                                                             weights.entropy.value,
                                                                             weights.scale,
                                                                             pointers(statistics),
                                                                             rows_out};
      run_both_passes(on, kernel, rows_read, rows_out);
    });
  };
  with_kept_rows(on, batch, data.weights, [&](const auto& rows_read) {
    with_kept_gradient(on, batch.kept, out, [&](const auto& rows_out) { run(rows_read, rows_out); });
  });
}

}  // namespace detail

/// Loss and gradient of `scale·Σ_t c_t·[loss_t + β·KL_t - η·H_t]` with respect to the logits, per token, where `c_t` is the weight of
/// the token, 1 unless `token_data::weighted_by` says otherwise.
///
/// For the row of token `a` with softmax `p`, base softmax `q` and `w = -dloss/dlog π(a)`:
/// `dL/dl_j = scale·c_t·{p_j·[w + β·(log p_j - log q_j - KL) + η·(log p_j + H)] - w·1{j = a}}`,
/// A derivative of the loss with respect to the KL is added to `β`, and one with respect to the entropy is taken from `η`.
/// With a temperature or a soft cap, `l` here is the mapped logit, and the gradient is by the logit in memory: times
/// `s·(1 - tanh²(l/cap))` for `.scaled(s).soft_capped(cap)`.
///
/// - `loss`: `reinforce{}`, `clipped_surrogate(0.2, 0.2)`, or a type of your own (see `objective/loss/token_loss.hpp`).
/// - `advantages`: T values, or `token_data(advantages, old_log_prob)` for a loss that needs old log-probabilities.
/// - Padding, prompts and what else is no token of a response have the weight 0, or an id that is left out
///   (`token_ids(ids).ignoring(-100)`). Nothing is read of such a token but its id and weight; its statistics and its gradient are 0.
///   `statistics` of the others are not multiplied by their weights.
/// - Shapes: `batch` T×V logits, any V; `gradient` T×V; each of the three may be `rows`, a slice of a batch (`strided_rows`) or rows at
///   offsets (`rows_at`), so padded, packed and sliced tensors need no copy. What lies between the rows of the gradient is not touched; non-empty spans of `statistics` T values.
/// - `gradient` may be the logits of either policy themselves (the same view), which it then replaces, with the same result.
/// - The KL is exact (whole vocabulary), and its gradient is that of each token's own term. Tokens sampled from the policy also
///   decide the KL of the tokens that follow them; for that, use `sequence_policy_gradient`.
/// - What is not finite, by row. A gradient is either right as a whole row or NaN as a whole row.
///
///   | row                                               | log π(a)        | KL, entropy  | loss                    | gradient |
///   |---------------------------------------------------|-----------------|--------------|-------------------------|----------|
///   | some logits are -inf (masked): probability 0       | finite          | finite       | finite                  | 0 there  |
///   | the sampled token is masked                        | -inf            | finite       | REINFORCE: ∓inf, 0 if A = 0; clipped: ratio 0 | `-scale·w` there, `w` finite |
///   | a NaN or +inf among the logits, or all are -inf    | NaN             | NaN          | NaN                     | NaN      |
///   | the base masks a token that the policy does not    | finite          | KL +inf      | finite                  | NaN if β > 0, else finite |
///   | the policy masks a token that the base does not    | finite          | finite       | finite                  | finite   |
///   | the base's row has no distribution                 | finite          | KL NaN       | finite                  | NaN if β > 0, else finite |
///   | `old_log_prob` is -inf: ratio +inf                 | finite          | finite       | clipped: A > 0 `-(1+ε_high)·A`, A = 0 0, A < 0 +inf | A ≥ 0: 0; A < 0: NaN |
///   | `old_log_prob` and log π(a) are -inf               | -inf            | finite       | clipped: NaN, 0 if A = 0 | NaN, finite if A = 0 |
///
///   `objective/losses.hpp` says the same of every loss. `old_log_prob` of NaN or +inf is an error.
/// - Error of an entry, with `s` and `ε` of `compute_token_statistics`, besides its rounding to `G`: at most
///   `2·(s + ε·D_j)·scale·p_j·[|w| + β·(|log p_j - log q_j - KL| + o_j) + η·(1 + |log p_j + H|)]`. `D_j` is `max l - l_j`; if the
///   largest logit lies behind the first chunk, it is up to 32 more. On `simd`, `2·s` is 6e-6 … 1e-5 for logits of `float` or 16
///   bits and 1e-14 … 2e-14 for `double`, on `scalar` 3e-14; `cuda` is not measured.
///   `o_j` is what offsets cost: `|max l - max b| + |E_p[l - b]| + √(2·KL)`. If the largest logits of the rows are more than 8 apart,
///   it is `D_j`, the same of the base policy, and their means under `p`, and `2⁻⁵²·scale·β·p_j·|max l - max b|` is added to the error.
///   Probabilities below the smallest normal number of the lanes may become 0.
/// - Cost: each logit is read once from memory, each gradient written once. Scratch: on `simd` a row of `float` for each
///   task, if the gradient replaces logits or has 16 bits. Sums of `float` logits are taken
///   in registers over chunks of 4,096 and in `double` across them. Deterministic; equal for every number of threads.
/// - Errors: `shape_error` (sizes; results that overlap each other or what is read, other than above), `domain_error` (token id out of
///   range, β > 0 without a base, advantage or weight NaN or infinite, old or base log-probability NaN or +inf), before anything is written.
template <backend B, class Loss, class L, class Data, class T, class Space, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void policy_gradient(B&& on, const Loss& loss, const token_logits<L, Space>& batch, const Data& advantages,
                     const objective_weights& weights, const token_statistics<T, Space>& statistics, const Gradient& gradient) {
  constexpr std::string_view function = "policy_gradient";
  const auto data = detail::as_token_data(advantages);
  const any_rows out(gradient);
  static_assert(reachable_from<B, decltype(data), decltype(out)>, "the views must live in the memory of the backend");
  detail::check_count(function, "advantages", data.advantages, batch.tokens.size());
  detail::check_objective<Loss>(on, function, batch, data, true, weights, statistics, out);
  detail::run_policy_gradient(on, loss, batch, data, weights, statistics, out);
}

}  // namespace infalign
