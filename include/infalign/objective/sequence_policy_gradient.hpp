// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy gradient of whole responses: one advantage a rollout, and the KL of the response, not of its tokens one by one.
#pragma once

#include <cstdint>
#include <string_view>

#include "infalign/objective/policy_gradient.hpp"

namespace infalign {

namespace detail {

/// The second pass alone, from stored row statistics.
template <class Terms, class L, class G, class Space>
struct gradient_kernel {
  token_logits<L, Space> batch;
  const row_statistics* statistics;
  const double* score;
  row_gradient weights;
  rows<G, Space> gradient;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    row_gradient c = weights;
    c.score = score[t];
    write_gradient<Terms>(team, batch.policy[t].data(), batch.base_row(t), batch.policy.columns(), batch.tokens[t],
                          statistics[t], c, kept_exponentials<compute_t<L>>{}, gradient[t].data());
  }
};

/// Spreads the advantage of a rollout over its tokens: token t gets the score weight `scale·(A - β·Σ_{s>t} KL_s)`.
template <class Rollouts, class A, class T>
struct reward_to_go_kernel {
  Rollouts rollouts;
  const A* advantages;
  const row_statistics* statistics;
  double beta;
  double scale;
  double* score;
  T* loss;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    team.once([&] {
      const auto advantage = static_cast<double>(advantages[r]);
      const index_t first = rollouts.offset(r);
      double later_kl = 0;
      for (index_t t = first + rollouts[r].size() - 1; t >= first; --t) {
        score[t] = scale * (beta > 0 ? advantage - beta * later_kl : advantage);  // the KL may be infinite
        if (loss != nullptr) loss[t] = static_cast<T>(-advantage * statistics[t].log_prob());
        later_kl += statistics[t].kl;
      }
    });
  }
};

}  // namespace detail

/// Gradient of `scale·Σ_r [-A_r·log π(y_r) + β·KL_r - η·Σ_t H_t]` with respect to the logits, for rollouts `y_r` sampled from
/// the policy, where `KL_r` estimates `KL(π‖π₀)` of the whole response.
///
/// The KL of a response is `E Σ_t KL_t`, and a token decides through which prefixes the later terms are taken. Its gradient is
/// `Σ_t [∇KL_t + (Σ_{s>t} KL_s)·∇log π(a_t)]`: leaving the second term out, as per-token penalties do, biases it. So token t
/// gets the score weight `A_r - β·Σ_{s>t} KL_s`, and every token the exact gradient of its own KL; the expectation over
/// rollouts is the gradient of the sequence KL.
///
/// - Shapes: `batch` T×V logits of all tokens, rollout after rollout; `rollout_offsets` R+1 positions into them, from 0 to T;
///   `advantages` R values (centred by the caller, for example `leave_one_out_advantage`); the rest as for `policy_gradient`.
///   `statistics.loss` receives `-A_r·log π(a_t)`.
/// - The entropy bonus acts on each token alone.
/// - Cost: logits are read twice (the KL of later rows decides the score of earlier ones), gradients written once; scratch of
///   56 bytes a token. Errors as for `policy_gradient`, and `shape_error` for offsets that do not describe rollouts.
/// - Source: derived; the reward-to-go form of the score-function gradient applied to the chain rule of KL.
template <backend B, class L, class Offsets, class Advantages, class T, class G, class Space>
  requires reachable_from<B, token_logits<L, Space>>
void sequence_policy_gradient(B&& on, const token_logits<L, Space>& batch, const Offsets& rollout_offsets,
                              const Advantages& advantages, const objective_weights& weights,
                              const token_statistics<T, Space>& statistics, const rows<G, Space>& gradient) {
  constexpr std::string_view function = "sequence_policy_gradient";
  const span offsets(rollout_offsets);
  const span values(advantages);
  static_assert(reachable_from<B, decltype(values), decltype(offsets)>, "the views must live in the memory of the backend");
  const ragged<const std::int32_t, Space> rollouts(batch.tokens, offsets);
  detail::check_logits(on, function, batch);
  detail::check_statistics(function, statistics, batch.tokens.size());
  detail::check_gradient(on, function, gradient, batch.policy);
  detail::check_weights(function, weights, batch);
  expects<shape_error>(!offsets.empty() || batch.tokens.empty(), function, "rollout_offsets is empty, but there are ",
                       batch.tokens.size(), " tokens");
  detail::expects_groups(on, function, "rollout_offsets", rollouts, "");
  expects<shape_error>(values.size() == rollouts.size(), function, "advantages has ", values.size(), " values, but there are ",
                       rollouts.size(), " rollouts");
  detail::expects_finite(on, function, "advantages", values);

  const bool wants_entropy = weights.entropy.value > 0 || !statistics.entropy.empty();
  const index_t tokens = batch.tokens.size();
  auto frame = on.scratch();
  auto* const row_statistics = frame.template take<detail::row_statistics>(tokens);
  auto* const score = frame.template take<double>(tokens);
  detail::run_statistics(on, batch, statistics, wants_entropy, row_statistics);
  using A = typename decltype(values)::value_type;
  on.groups(rollouts.size(), 8 * tokens,
            detail::reward_to_go_kernel<decltype(rollouts), A, T>{rollouts, values.data(), row_statistics, weights.kl.value,
                                                                  weights.scale, score, statistics.loss.data()});
  detail::with_terms(batch, wants_entropy, [&](auto terms) {
    on.groups(tokens, detail::logits_cost(batch),
              detail::gradient_kernel<decltype(terms), L, G, Space>{batch, row_statistics, score,
                                                                    detail::scaled_weights(weights), gradient});
  });
}

}  // namespace infalign
