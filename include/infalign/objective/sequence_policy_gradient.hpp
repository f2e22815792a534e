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
template <class Loss, class A, class O, class T, class Space>
struct sequence_loss_kernel {
  Loss loss;
  token_ids<Space> tokens;
  const index_t* offsets;
  const A* advantages;
  const O* old_log_prob;
  const O* base_log_prob;
  token_weights<Space> token_weight;
  const row_statistics* statistics;
  double beta;
  double eta;
  double scale;
  row_coefficients* coefficients;
  T* losses;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    const index_t first = offsets[r], end = offsets[r + 1];
    const auto length =
        static_cast<index_t>(team.sum_items(end - first, [&](index_t i) { return weight(first + i) == 0 ? 0.0 : 1.0; }));
    const auto mean_of = [&](const auto& value) {
      const double sum = team.sum_items(
          end - first, [&](index_t i) { return weight(first + i) == 0 ? 0.0 : value(row(r, length, first + i)); });
      return sum / static_cast<double>(length);
    };
    const double mean_log_ratio = mean_of([](const token_row& at) { return at.sequence_log_ratio; });
    double term = 0;
    if constexpr (has_sequence_term<Loss>) term = mean_of([&](const token_row& at) { return loss.sequence_term(at); });
    team.once([&] {
      double later_kl = 0;
      for (index_t t = end; t-- > first;) {
        const double own_weight = weight(t);
        if (own_weight == 0) {
          coefficients[t] = {};
          continue;
        }
        token_row at = row(r, length, t);
        at.sequence_log_ratio = mean_log_ratio;
        at.sequence_term = term;
        loss_value v = loss(at);
        if (losses != nullptr) losses[t] = static_cast<T>(v.value);
        row_coefficients c = coefficients_of(v, beta, eta, own_weight * scale);
        if (beta > 0) c.score -= product(scale, beta * later_kl);  // if that is infinite, the row becomes NaN
        coefficients[t] = c;
        later_kl += own_weight * statistics[t].kl;
      }
    });
  }

 private:
  INFALIGN_HD double weight(index_t t) const { return tokens.ignores(t) ? 0 : token_weight[t]; }
  INFALIGN_HD token_row row(index_t r, index_t length, index_t t) const {
    token_row at = token_row_of(statistics[t], old_log_prob, base_log_prob, static_cast<double>(advantages[r]), tokens[t], t);
    at.sequence = r;
    at.sequence_length = length;
    return at;
  }
};

}  // namespace detail

/// Gradient of `scale·Σ_r Σ_t c_t·[loss_t + β·KL_t - η·H_t]` with respect to the logits, for rollouts `y_r` sampled from the policy.
/// The weights `c_t` of the tokens are 1 unless `token_data::weighted_by` says otherwise. Then the KL terms of a rollout estimate
/// `KL(π‖π₀)` of whole responses. With `reinforce{}`, the default, `Σ_t loss_t = -A_r·log π(y_r)`.
///
/// What is penalised is `E Σ_t c_t·KL_t`, and a token decides after which prefixes the later terms are taken. The gradient is
/// therefore the expectation of `Σ_t [c_t·∇KL_t + (Σ_{s>t} c_s·KL_s)·∇log π(a_t)]`. Per-token penalties leave the second term
/// out, which biases the gradient. Here token t gets the score weight `-c_t·dloss_t/dlog π(a_t) - β·Σ_{s>t} c_s·KL_s` and the
/// exact gradient of its own KL. The expectation over rollouts is then the gradient of the sequence KL.
///
/// - `loss`: any of `policy_gradient`'s. It is also told of the token's rollout: `sequence`, `sequence_length` and
///   `sequence_log_ratio`.
/// - Shapes: `batch` T×V logits of all tokens, rollout after rollout; `rollout_offsets` R+1 positions into them, from 0 to T;
///   `advantages` R values (centred by the caller, for example `leave_one_out_advantage`), or
///   `token_data(advantages, old_log_prob)` with T old log-probabilities; the rest as for `policy_gradient`. `statistics.loss`
///   receives the loss of each token.
/// - Tokens of weight 0, or with an id that is left out, are no part of the rollout: `sequence_length` and `sequence_log_ratio` are those
///   of the others.
/// - The entropy bonus acts on each token alone.
/// - Cost: logits are read twice (the KL of later rows decides the score of earlier ones), gradients written once; scratch of
///   112 bytes a token. Errors as for `policy_gradient`, and `shape_error` for offsets that do not describe rollouts.
/// - Source: derived; the reward-to-go form of the score-function gradient applied to the chain rule of KL.
template <backend B, class Loss, class L, class Offsets, class Data, class T, class Space, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void sequence_policy_gradient(B&& on, const Loss& loss, const token_logits<L, Space>& batch, const Offsets& rollout_offsets,
                              const Data& advantages, const objective_weights& weights,
                              const token_statistics<T, Space>& statistics, const Gradient& gradient) {
  constexpr std::string_view function = "sequence_policy_gradient";
  const span offsets(rollout_offsets);
  const auto data = detail::as_token_data(advantages);
  const any_rows out(gradient);
  static_assert(reachable_from<B, decltype(data), decltype(offsets), decltype(out)>,
                "the views must live in the memory of the backend");
  detail::expects_span(function, "rollout_offsets", offsets);
  expects<shape_error>(!offsets.empty() || batch.tokens.empty(), function, "rollout_offsets is empty, but there are ",
                       batch.tokens.size(), " tokens");
  batch.tokens.visit([&]<class Id>(const span<const Id, Space>& ids) {
    detail::expects_groups(on, function, "rollout_offsets", ragged<const Id, Space>(ids, offsets), "");
  });
  const index_t rollouts = offsets.empty() ? 0 : offsets.size() - 1;
  expects<shape_error>(data.advantages.size() == rollouts, function, "advantages has ", data.advantages.size(),
                       " values, but there are ", rollouts, " rollouts");
  detail::check_objective<Loss>(on, function, batch, data, false, weights, statistics, out);
  detail::expects_apart(function, "gradient", out, "rollout_offsets", offsets);
  detail::for_each_wanted(statistics, [&](std::string_view name, const auto& values) {
    detail::expects_apart(function, name, values, "rollout_offsets", offsets);
  });

  const bool entropy = detail::wants_entropy<Loss>(weights, statistics);
  const index_t tokens = batch.tokens.size();
  auto frame = on.scratch();
  auto* const row_values = frame.template take<row_statistics>(tokens);
  auto* const coefficients = frame.template take<row_coefficients>(tokens);
  using A = typename decltype(data.advantages)::value_type;
  using O = typename decltype(data.old_log_prob)::value_type;
  detail::with_kept_rows(on, batch, data.weights, [&](const detail::row_batch<L, Space>& rows_read) {
    detail::with_terms(rows_read, entropy, [&]<class Terms>(Terms) {
      on.groups(
          tokens, detail::logits_cost(rows_read),
          detail::statistics_kernel<Terms, L, T, Space>{rows_read, detail::pointers(statistics), row_values, data.weights});
    });
    on.groups(rollouts, 8 * tokens,
              detail::sequence_loss_kernel<Loss, A, O, T, Space>{
                  loss, batch.tokens, offsets.data(), data.advantages.data(), data.old_log_prob.data(),
                  data.base_log_prob.data(), data.weights, row_values, weights.kl.value, weights.entropy.value, weights.scale,
                  coefficients, statistics.loss.data()});
    detail::with_kept_gradient(on, batch.kept, out, [&](const auto& rows_out) {
      detail::run_gradient(on, rows_read, entropy, row_values, coefficients, rows_out, data.weights);
    });
  });
}

/// `sequence_policy_gradient` with the loss `reinforce{}`.
template <backend B, class L, class Offsets, class Data, class T, class Space, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void sequence_policy_gradient(B&& on, const token_logits<L, Space>& batch, const Offsets& rollout_offsets,
                              const Data& advantages, const objective_weights& weights,
                              const token_statistics<T, Space>& statistics, const Gradient& gradient) {
  sequence_policy_gradient(on, reinforce{}, batch, rollout_offsets, advantages, weights, statistics, gradient);
}

}  // namespace infalign
