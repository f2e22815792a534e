// SPDX-License-Identifier: Apache-2.0
/// \file
/// A policy loss is a function of what is known of one token, with its derivatives.
///
/// To add one, write a file like `reinforce.hpp`, and name it in `objective/losses.hpp`. A loss is a small value with
/// `loss_value operator()(const token_row&) const`. Its constructor checks its parameters. It may have
/// - `static constexpr bool needs_old_log_prob = true`, if it reads `old_log_prob` or `sequence_log_ratio`;
/// - `static constexpr bool needs_base = true`, if it reads `kl`, and so needs base logits;
/// - `static constexpr bool needs_base_log_prob = true`, if it reads `base_log_prob`, from base logits or from `token_data`;
/// - `static constexpr bool needs_entropy = true`, if it reads `entropy`;
/// - `double sequence_term(const token_row&) const`, if it needs the mean over a response of a function of its tokens: it then finds
///   the mean in `row.sequence_term`.
/// What a loss needs is checked before it is called. What it does not ask for may be 0.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"
#include "infalign/logits/token_ids.hpp"

namespace infalign {

/// What is known of one token when its loss is computed.
struct token_row {
  double log_prob;       ///< `log π(a)` under the policy
  double old_log_prob;   ///< the same at rollout; `log_prob` if none was given
  double base_log_prob;  ///< the same under the base policy; 0 if neither it nor base logits were given
  double kl;             ///< `KL(π‖π₀)` of the row; 0 without a base policy
  double entropy;        ///< of the row; 0 unless asked for
  double advantage;
  std::int32_t token;  ///< the id `a`
  index_t position;    ///< in the batch
  index_t sequence;    ///< the rollout that the token belongs to; its own position where there are no rollouts
  index_t sequence_length = 1;
  /// Mean over the sequence of `log_prob - old_log_prob`; its own where there are no rollouts.
  double sequence_log_ratio = 0;
  /// Mean over the sequence of the loss's own `sequence_term(row)`, if it has one; filled for sequences of two tokens and more.
  double sequence_term = 0;
};

/// The value of a loss, to be minimised, and its derivatives.
struct loss_value {
  double value;
  double by_log_prob = 0;  ///< by `log_prob` of this token
  double by_kl = 0;        ///< by `kl`
  double by_entropy = 0;   ///< by `entropy`
};

template <class L>
concept token_loss = std::copyable<L> && requires(const L& loss, const token_row& row) {
  { loss(row) } -> std::same_as<loss_value>;
};

/// What a trainer knows of its tokens besides the logits. If a loss needs no old log-probabilities and all tokens weigh the same, the
/// advantages alone may be given instead.
///
/// \code
/// infalign::token_data(advantages, old_log_prob)                            // every token weighs 1
/// infalign::token_data(advantages, old_log_prob).weighted_by(weights)       // of float or double
/// infalign::token_data(advantages).weighted_by(weights)
/// infalign::token_data(advantages, old_log_prob).with_base(base_log_prob)   // for a loss that needs them, without base logits
/// \endcode
template <class A, class O, class Space>
struct token_data {
  using memory_space = Space;
  span<const A, Space> advantages;
  span<const O, Space> old_log_prob{};  ///< log-probability of each token at rollout, one a token
  /// What each token's whole loss is multiplied by, its KL and entropy terms too: a mask, 1/|y| for means over responses, importance
  /// weights. A token of weight 0 is left out: its logits, advantage and old log-probability may be anything, its statistics are 0,
  /// and its row of the gradient is 0.
  token_weights<Space> weights{};
  /// Log-probability of each token under the base policy, one a token, or none: then losses are told what base logits say.
  span<const O, Space> base_log_prob{};

  token_data(span<const A, Space> of_tokens, span<const O, Space> old) : advantages(of_tokens), old_log_prob(old) {}
  template <class Advantages>
  explicit token_data(const Advantages& of_tokens) : advantages(infalign::span(of_tokens)) {}
  template <class Advantages, class Old>
  token_data(const Advantages& of_tokens, const Old& old)
      : advantages(infalign::span(of_tokens)), old_log_prob(infalign::span(old)) {}

  /// That of tokens `begin … begin + n`.
  [[nodiscard]] token_data part(index_t begin, index_t n) const {
    const auto some = [&]<class V>(const span<const V, Space>& values) {
      return values.empty() ? values : span<const V, Space>(values.data() + begin, n);
    };
    token_data of_part(some(advantages), some(old_log_prob));
    of_part.weights = weights.part(begin, n);
    of_part.base_log_prob = some(base_log_prob);
    return of_part;
  }
  [[nodiscard]] token_data weighted_by(const token_weights<Space>& by) const {
    token_data same = *this;
    same.weights = by;
    return same;
  }
  template <class Base>
  [[nodiscard]] token_data with_base(const Base& of_tokens) const {
    token_data same = *this;
    same.base_log_prob = infalign::span(of_tokens);
    return same;
  }
};
template <class Advantages>
token_data(const Advantages&) -> token_data<typename decltype(span(std::declval<const Advantages&>()))::value_type,
                                            typename decltype(span(std::declval<const Advantages&>()))::value_type,
                                            typename decltype(span(std::declval<const Advantages&>()))::memory_space>;
template <class Advantages, class Old>
token_data(const Advantages&, const Old&) -> token_data<typename decltype(span(std::declval<const Advantages&>()))::value_type,
                                                        typename decltype(span(std::declval<const Old&>()))::value_type,
                                                        typename decltype(span(std::declval<const Old&>()))::memory_space>;

namespace detail {

/// `a·x`, which is 0 where `a` is, also for an infinite or undefined `x`: a token without weight adds nothing.
INFALIGN_HD inline double product(double a, double x) {
  return a == 0 ? 0 : a * x;
}

template <class L>
inline constexpr bool needs_old_log_prob = false;
template <class L>
  requires requires { L::needs_old_log_prob; }
inline constexpr bool needs_old_log_prob<L> = L::needs_old_log_prob;
template <class L>
inline constexpr bool needs_base = false;
template <class L>
  requires requires { L::needs_base; }
inline constexpr bool needs_base<L> = L::needs_base;
template <class L>
inline constexpr bool needs_base_log_prob = false;
template <class L>
  requires requires { L::needs_base_log_prob; }
inline constexpr bool needs_base_log_prob<L> = L::needs_base_log_prob;
template <class L>
inline constexpr bool needs_entropy = false;
template <class L>
  requires requires { L::needs_entropy; }
inline constexpr bool needs_entropy<L> = L::needs_entropy;

template <class L>
concept has_sequence_term = requires(const L& loss, const token_row& row) {
  { loss.sequence_term(row) } -> std::same_as<double>;
};

/// The mean of `loss.sequence_term` over the response of the token. One token is its own mean.
template <class L>
INFALIGN_HD double mean_sequence_term(const L& loss, const token_row& row) {
  return row.sequence_length == 1 ? loss.sequence_term(row) : row.sequence_term;
}

/// `data` as it is, or advantages alone.
template <class Data>
auto as_token_data(const Data& data) {
  if constexpr (requires { data.old_log_prob; }) {
    return data;
  } else {
    const span advantages(data);
    using S = decltype(advantages);
    using T = typename S::value_type;
    return token_data<T, T, typename S::memory_space>(span<const T, typename S::memory_space>(advantages), {});
  }
}

/// Gives one readable error for what a user's loss lacks.
template <class L>
constexpr void assert_loss() {
  static_assert(token_loss<L>, "infalign: a loss must have `loss_value operator()(const token_row&) const` and be copyable");
}

}  // namespace detail

}  // namespace infalign
