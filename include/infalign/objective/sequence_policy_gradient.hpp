// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy gradient of whole responses: one advantage a rollout, and the KL of the response, not of its tokens one by one.
#pragma once

#include <cstdint>
#include <string_view>

#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/policy_gradient.hpp"

namespace infalign {

namespace detail {

/// Between the passes: turns the statistics of a rollout's rows into the coefficients of its gradient. Token t gets the
/// gradient of its loss and of its own KL, and `β·Σ_{s>t} KL_s` times the gradient of its log-probability.
template <class Loss, class Rollouts, class A, class O, class T>
struct sequence_loss_kernel {
  Loss loss;
  Rollouts rollouts;  // of token ids
  const A* advantages;
  const O* old_log_prob;
  const row_statistics* statistics;
  double beta;
  double eta;
  double scale;
  row_coefficients* coefficients;
  T* losses;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    const index_t first = rollouts.offset(r);
    const index_t length = rollouts[r].size();
    const double log_ratios = team.sum_items(length, [&](index_t i) { return row(r, first, length, i).sequence_log_ratio; });
    const double mean_log_ratio = log_ratios / static_cast<double>(length);
    double term = 0;
    if constexpr (has_sequence_term<Loss>)
      term = team.sum_items(length, [&](index_t i) { return loss.sequence_term(row(r, first, length, i)); }) /
             static_cast<double>(length);
    team.once([&] {
      double later_kl = 0;
      for (index_t i = length; i-- > 0;) {
        token_row at = row(r, first, length, i);
        at.sequence_log_ratio = mean_log_ratio;
        at.sequence_term = term;
        const index_t t = first + i;
        loss_value v = loss(at);
        if (losses != nullptr) losses[t] = static_cast<T>(v.value);
        if (beta > 0) v.by_log_prob += beta * later_kl;  // if that is infinite, the row becomes NaN
        coefficients[t] = coefficients_of(v, beta, eta, scale);
        later_kl += statistics[t].kl;
      }
    });
  }

 private:
  INFALIGN_HD token_row row(index_t r, index_t first, index_t length, index_t i) const {
    const index_t t = first + i;
    const double old = old_log_prob != nullptr ? static_cast<double>(old_log_prob[t]) : statistics[t].log_prob();
    token_row at = token_row_of(statistics[t], old, static_cast<double>(advantages[r]), rollouts[r][i], t);
    at.sequence = r;
    at.sequence_length = length;
    return at;
  }
};

}  // namespace detail

/// Gradient of `scale·Σ_r [Σ_t loss_t + β·KL_r - η·Σ_t H_t]` with respect to the logits, for rollouts `y_r` sampled from the
/// policy. `KL_r` estimates `KL(π‖π₀)` of the whole response. With `reinforce{}`, the default, `Σ_t loss_t = -A_r·log π(y_r)`.
///
/// The KL of a response is `E Σ_t KL_t`, and a token decides after which prefixes the later terms are taken. Its gradient is
/// therefore the expectation of `Σ_t [∇KL_t + (Σ_{s>t} KL_s)·∇log π(a_t)]`. Per-token penalties leave the second term out,
/// which biases the gradient. Here token t gets the score weight `-dloss_t/dlog π(a_t) - β·Σ_{s>t} KL_s` and the exact gradient
/// of its own KL. The expectation over rollouts is then the gradient of the sequence KL.
///
/// - `loss`: any of `policy_gradient`'s. It is also told of the token's rollout: `sequence`, `sequence_length` and
///   `sequence_log_ratio`.
/// - Shapes: `batch` T×V logits of all tokens, rollout after rollout; `rollout_offsets` R+1 positions into them, from 0 to T;
///   `advantages` R values (centred by the caller, for example `leave_one_out_advantage`), or
///   `token_data(advantages, old_log_prob)` with T old log-probabilities; the rest as for `policy_gradient`. `statistics.loss`
///   receives the loss of each token.
/// - The entropy bonus acts on each token alone.
/// - Cost: logits are read twice (the KL of later rows decides the score of earlier ones), gradients written once; scratch of
///   104 bytes a token. Errors as for `policy_gradient`, and `shape_error` for offsets that do not describe rollouts.
/// - Source: derived; the reward-to-go form of the score-function gradient applied to the chain rule of KL.
template <backend B, class Loss, class L, class Offsets, class Data, class T, class G, class Space>
  requires reachable_from<B, token_logits<L, Space>>
void sequence_policy_gradient(B&& on, const Loss& loss, const token_logits<L, Space>& batch, const Offsets& rollout_offsets,
                              const Data& advantages, const objective_weights& weights,
                              const token_statistics<T, Space>& statistics, const rows<G, Space>& gradient) {
  constexpr std::string_view function = "sequence_policy_gradient";
  const span offsets(rollout_offsets);
  const auto data = detail::as_token_data(advantages);
  static_assert(reachable_from<B, decltype(data), decltype(offsets)>, "the views must live in the memory of the backend");
  const ragged<const std::int32_t, Space> rollouts(batch.tokens, offsets);
  detail::expects_span(function, "rollout_offsets", offsets);
  expects<shape_error>(!offsets.empty() || batch.tokens.empty(), function, "rollout_offsets is empty, but there are ",
                       batch.tokens.size(), " tokens");
  detail::expects_groups(on, function, "rollout_offsets", rollouts, "");
  expects<shape_error>(data.advantages.size() == rollouts.size(), function, "advantages has ", data.advantages.size(),
                       " values, but there are ", rollouts.size(), " rollouts");
  detail::check_objective<Loss>(on, function, batch, data, weights, statistics, gradient);
  detail::expects_apart(function, "gradient", gradient, "rollout_offsets", offsets);
  detail::for_each_wanted(statistics, [&](std::string_view name, const auto& values) {
    detail::expects_apart(function, name, values, "rollout_offsets", offsets);
  });

  const bool entropy = detail::wants_entropy<Loss>(weights, statistics);
  const index_t tokens = batch.tokens.size();
  auto frame = on.scratch();
  auto* const row_values = frame.template take<row_statistics>(tokens);
  auto* const coefficients = frame.template take<row_coefficients>(tokens);
  detail::with_terms(batch, entropy, [&]<class Terms>(Terms) {
    on.groups(tokens, detail::logits_cost(batch),
              detail::statistics_kernel<Terms, L, T, Space>{batch, detail::pointers(statistics), row_values});
  });
  using A = typename decltype(data.advantages)::value_type;
  using O = typename decltype(data.old_log_prob)::value_type;
  on.groups(rollouts.size(), 8 * tokens,
            detail::sequence_loss_kernel<Loss, ragged<const std::int32_t, Space>, A, O, T>{
                loss, rollouts, data.advantages.data(), data.old_log_prob.data(), row_values, weights.kl.value,
                weights.entropy.value, weights.scale, coefficients, statistics.loss.data()});
  detail::run_gradient(on, batch, entropy, row_values, coefficients, gradient);
}

/// `sequence_policy_gradient` with the loss `reinforce{}`.
template <backend B, class L, class Offsets, class Data, class T, class G, class Space>
  requires reachable_from<B, token_logits<L, Space>>
void sequence_policy_gradient(B&& on, const token_logits<L, Space>& batch, const Offsets& rollout_offsets,
                              const Data& advantages, const objective_weights& weights,
                              const token_statistics<T, Space>& statistics, const rows<G, Space>& gradient) {
  sequence_policy_gradient(on, reinforce{}, batch, rollout_offsets, advantages, weights, statistics, gradient);
}

}  // namespace infalign
