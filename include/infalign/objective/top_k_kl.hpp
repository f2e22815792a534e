// SPDX-License-Identifier: Apache-2.0
/// \file
/// KL to a policy of which only the largest log-probabilities are known, with one bucket for all that is not.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <string_view>
#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/logits/passes.hpp"
#include "infalign/objective/loss/token_loss.hpp"

namespace infalign {

/// What a server says of another policy (a teacher, a base policy): for token `t` the log-probabilities `log_prob[i]` of the ids `ids[i]`,
/// `offsets[t] <= i < offsets[t+1]`, ascending by id.
template <class Space = host_memory>
struct top_log_probs {
  using memory_space = Space;
  token_ids<Space> ids{};
  span<const index_t, Space> offsets{};
  token_weights<Space> log_prob{};
};

/// Which KL. `forward` is that of distillation from a teacher, `reverse` that of a trainer's penalty.
enum class kl_direction : unsigned char { forward, reverse };

/// What rounding leaves of the probability outside the known ids: next to 1, a sum of `float` probabilities says no more. Less than this
/// counts as this.
inline constexpr double smallest_tail = 1e-7;

namespace detail {

/// The sums over the known ids of one token.
struct known_part {
  double policy = 0;  ///< their probability under the policy
  double other = 0;   ///< and under the other policy
  double kl = 0;      ///< `Σ p·(log p - log q)`, or the other way round
};

/// `a·(log a - log b)`, 0 for `a = 0`.
INFALIGN_HD inline double divergence_term(double a, double log_a, double log_b) {
  return a > 0 ? a * (log_a - log_b) : 0;
}

template <class L, class T, class G, class Space>
struct top_k_kl_kernel {
  row_batch<L, Space> batch;
  token_weights<Space> weights;
  top_log_probs<Space> other;
  kl_direction direction;
  double scale;
  T* kl;
  double* saved;  ///< the gradient of the known ids, until the row is written
  any_rows<G, Space> gradient;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    using Terms = row_terms<false, false>;
    using std::exp;
    using std::log;
    const index_t columns = batch.policy[t].size(), begin = other.offsets[t], n = other.offsets[t + 1] - begin;
    const double weight = batch.tokens.ignores(t) ? 0 : weights[t];
    if (weight == 0) {
      team.once([&] {
        if (kl != nullptr) kl[t] = T(0);
      });
      return clear_row(team, gradient[t].data(), columns);
    }
    const L* const row = batch.policy[t].data();
    kept_exponentials<compute_t<L>> none;
    const auto s =
        statistics_of(read_row<Terms>(team, row, static_cast<const L*>(nullptr), columns, -1, none, batch.map), Terms::value);
    const soft_cap<true, double> capped(batch.map.cap);
    const auto logit = [&](index_t i) {
      return capped(static_cast<double>(static_cast<compute_t<L>>(row[other.ids[begin + i]])));
    };
    const auto log_p = [&](index_t i) { return s.scale * (logit(i) - s.shift) - s.log_sum; };
    const auto log_q = [&](index_t i) { return other.log_prob[begin + i]; };
    const bool forward = direction == kl_direction::forward;
    const known_part known{team.sum_items(n, [&](index_t i) { return exp(log_p(i)); }),
                           team.sum_items(n, [&](index_t i) { return exp(log_q(i)); }), team.sum_items(n, [&](index_t i) {
                             const double lp = log_p(i), lq = log_q(i);
                             return forward ? divergence_term(exp(lq), lq, lp) : divergence_term(exp(lp), lp, lq);
                           })};
    // Where every id is known there is no bucket, and this is the KL itself.
    const bool has_tail = n < columns;
    const double p_tail = has_tail ? tail_of(known.policy) : 0, q_tail = has_tail ? tail_of(known.other) : 0;
    const double tail_ratio = has_tail ? log(p_tail) - log(q_tail) : 0;  // p/q
    const double value = known.kl + (forward ? -q_tail * tail_ratio : p_tail * tail_ratio);
    team.once([&] {
      if (kl != nullptr) kl[t] = static_cast<T>(value < 0 ? 0 : value);
    });
    const double share = weight * scale, mass = known.other + q_tail;  // of the other policy, 1 up to rounding
    team.items(n, [&](index_t i) {
      const double lp = log_p(i), lq = log_q(i), p = exp(lp);
      const double by_logit = forward ? p * mass - exp(lq) : p > 0 ? p * (lp - lq - value) : 0;
      saved[begin + i] = share * by_logit * s.scale * slope_at(batch.map.cap, logit(i));
    });
    const double by_tail = forward ? mass - (has_tail ? q_tail / p_tail : 0) : tail_ratio - value;
    // An infinite KL has no gradient, and so has a row of which all is masked: NaN as a whole.
    const bool has_value = !not_finite(value);
    write_gradient<Terms>(team, row, static_cast<const L*>(nullptr), columns, -1, s,
                          {has_value ? share * by_tail : std::numeric_limits<double>::quiet_NaN()}, {}, gradient[t].data(),
                          batch.map);
    if (has_value)
      team.items(n, [&](index_t i) {
        gradient[t][other.ids[begin + i]] = static_cast<G>(static_cast<compute_t<G>>(saved[begin + i]));
      });
  }

 private:
  INFALIGN_HD static double tail_of(double known) { return 1 - known > smallest_tail ? 1 - known : smallest_tail; }
};

template <class T>
struct is_no_log_prob {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    return !(v <= V(compute_t<T>(1e-3)));  // rounding may leave a little more than probability 1
  }
};

}  // namespace detail

/// The KL of each token over the ids whose log-probabilities are known and one bucket for all others, and the gradient of
/// `scale·Σ_t c_t·KL_t` by the logits, with the weights `c_t` of the tokens:
///
///     reverse: Σ_{j known} p_j·(log p_j - log q_j) + P·(log P - log Q)      P = 1 - Σ_{j known} p_j, and Q likewise of q
///     forward: Σ_{j known} q_j·(log q_j - log p_j) + Q·(log Q - log P)
///
/// \code
/// infalign::top_log_probs<> teacher{ids, offsets, log_prob};   // what vLLM's `logprobs=20` says
/// top_k_kl(on, infalign::token_logits<float>{logits, {}, tokens}, teacher, infalign::kl_direction::forward, 1.0 / n, mask, kl, gradient);
/// \endcode
///
/// - It is never negative and at most the KL over the whole vocabulary, which it is where all ids are known: to merge outcomes loses
///   information and adds none. So nothing is clamped. A sum over the known ids alone may be negative, and has another optimum.
/// - Gradient of `KL` by `l_j`, with `D` the value: reverse `p_j·(log p_j - log q_j - D)`, in the bucket `p_j·(log P - log Q - D)`; forward
///   `p_j - q_j`, in the bucket `p_j·(1 - Q/P)`; times what a temperature or soft cap of `batch` does.
/// - Shapes: `batch` T×V logits, without a base, of any `rowwise` view; `other` lists for T tokens, which need not hold the token's id;
///   `weights` T or none (1); `kl` T or none; `gradient` T×V, which may be the logits. A token of weight 0, or whose id is left out, is not
///   read: its KL and its row of the gradient are 0.
/// - `q_j = 0` is said by -inf. Then reverse is +inf where `p_j > 0`, and its gradient NaN as a whole row.
/// - Error: that of the log-probabilities, and in the bucket's term `smallest_tail`: it is what `float` log-probabilities leave open.
/// - Cost: logits are read twice, gradients written once, some exponentials a known id. Scratch: 8 bytes a known id.
/// - Errors: `shape_error`; `domain_error` (lists that do not ascend within [0, V), a log-probability that is NaN or above 0 by more than
///   1e-3, weights or `scale` not finite, kept ids or thresholds in `batch`), before anything is written.
/// - Source: derived; the bucket is that of verl #7856.
template <backend B, class L, class T, class Space, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void top_k_kl(B&& on, const token_logits<L, Space>& batch, const top_log_probs<Space>& other, kl_direction direction,
              double scale, const std::type_identity_t<token_weights<Space>>& weights, const span<T, Space>& kl,
              const Gradient& gradient) {
  constexpr std::string_view function = "top_k_kl";
  const any_rows out(gradient);
  static_assert(reachable_from<B, decltype(out)>, "the views must live in the memory of the backend");
  using G = typename decltype(out)::element_type;
  const index_t tokens = batch.tokens.size(), known = other.ids.size();
  expects<domain_error>(batch.kept.is_all() && batch.thresholds.empty(), function, "logits are kept in part, must be whole");
  expects<domain_error>(batch.base.empty(), function, "logits have a base, the other policy is given by its log-probabilities");
  expects<domain_error>(scale - scale == 0, function, "scale is ", scale, ", must be finite");
  detail::check_logits(on, function, batch, -1);
  detail::check_gradient(on, function, out, batch);
  const kept_ids<Space> lists{other.ids, other.offsets};
  detail::check_id_lists(on, function, "other", lists, batch.tokens, batch.policy.columns(), weights, false);
  weights.visit([&](const auto& values) { detail::expects_finite(on, function, "weights", values); });
  other.log_prob.visit([&](const auto& values) {
    detail::expects_span(function, "other.log_prob", values);
    expects<shape_error>(values.size() == known, function, "other.log_prob has ", values.size(), " values, but other.ids has ",
                         known);
    detail::expects_each<detail::is_no_log_prob>(on, function, "other.log_prob", values, "a log-probability");
  });
  const auto apart = [&](std::string_view name, const auto& written) {
    detail::expects_apart(function, name, written, "other.ids", other.ids);
    detail::expects_apart(function, name, written, "other.offsets", other.offsets);
    detail::expects_apart(function, name, written, "other.log_prob", other.log_prob);
    detail::expects_apart(function, name, written, "weights", weights);
  };
  apart("gradient", out);
  if (!kl.empty()) {
    detail::check_count(function, "kl", kl, tokens);
    detail::check_apart_from_batch(function, "kl", kl, batch);
    detail::expects_apart(function, "kl", kl, "gradient", out);
    apart("kl", kl);
  }
  auto frame = on.scratch();
  double* const saved = frame.template take<double>(known);
  const detail::row_batch<L, Space> rows_read{batch.policy, {}, batch.tokens, batch.map, {}};
  on.groups(tokens, 2 * detail::logits_cost(batch) + 64 * known,
            detail::top_k_kl_kernel<L, T, G, Space>{rows_read, weights, other, direction, scale, kl.data(), saved, out});
}

}  // namespace infalign
