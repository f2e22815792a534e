// SPDX-License-Identifier: Apache-2.0
/// \file
/// A preference loss is a function of what is known of two responses to a prompt, the preferred and the other, or of one response, with
/// its derivatives.
///
/// To add one, write a file like `dpo.hpp`, and name it in `objective/preferences.hpp`. A loss is a small copyable value whose constructor
/// checks its parameters, with one of
/// - `margin_value operator()(double margin) const`: a loss of the difference of the log-ratios to the base policy;
/// - `pair_value operator()(const response_row& chosen, const response_row& rejected) const`: a loss of any two responses;
/// - `response_value operator()(const response_row&) const`: a loss of single responses, which needs no pairs.
/// The second and the third may have `static constexpr bool needs_base_log_prob = true`, if they read `log_ratio`. What a loss needs is
/// checked before it is called.
#pragma once

#include <concepts>

#include "infalign/core/config.hpp"
#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// What is known of one response when its loss is computed. Sums are over its tokens, each times its weight.
struct response_row {
  double log_prob;       ///< `Σ_t c_t·log π(a_t)`
  double log_ratio = 0;  ///< `Σ_t c_t·(log π(a_t) - log π₀(a_t))`; `log_prob` if nothing is known of the base policy
  double length = 0;     ///< how many tokens it has; those of weight 0, and those left out, do not count
  double reward = 1;     ///< what the caller says of it: a transformed reward, a weight
  index_t response = 0;  ///< in the batch
};

/// The value of a loss, to be minimised, and its derivative by the margin `h`, the log-ratio of the chosen response less that of the
/// rejected one.
struct margin_value {
  double value;
  double by_margin = 0;
};

/// The value of a loss and its derivatives by the `log_prob` of either response. `log_ratio` moves with it.
struct pair_value {
  double value;
  double by_chosen = 0;
  double by_rejected = 0;
};

/// The value of a loss and its derivative by `log_prob`.
struct response_value {
  double value;
  double by_log_prob = 0;
};

/// The indices of two responses: the preferred one and the other. Two integers of 64 bits, as in a P×2 tensor of them.
struct response_pair {
  index_t chosen;
  index_t rejected;
};

template <class L>
concept margin_loss = std::copyable<L> && requires(const L& loss, double margin) {
  { loss(margin) } -> std::same_as<margin_value>;
};
template <class L>
concept pair_loss = std::copyable<L> && requires(const L& loss, const response_row& row) {
  { loss(row, row) } -> std::same_as<pair_value>;
};
template <class L>
concept response_loss = std::copyable<L> && requires(const L& loss, const response_row& row) {
  { loss(row) } -> std::same_as<response_value>;
};

namespace detail {

template <class L>
inline constexpr bool reads_base = margin_loss<L> || needs_base_log_prob<L>;

/// `h`, the difference of the log-ratios.
INFALIGN_HD inline double margin_of(const response_row& chosen, const response_row& rejected) {
  return capped_sum(chosen.log_ratio, -rejected.log_ratio);
}

/// A loss of pairs, whichever of its two forms it has.
template <class L>
INFALIGN_HD pair_value loss_of_pair(const L& loss, const response_row& chosen, const response_row& rejected) {
  if constexpr (margin_loss<L>) {
    const margin_value v = loss(margin_of(chosen, rejected));
    return {v.value, v.by_margin, -v.by_margin};
  } else {
    return loss(chosen, rejected);
  }
}

/// `log(1 + e^x)`, without overflow.
INFALIGN_HD inline double softplus(double x) {
  using std::exp;
  using std::log1p;
  return (x > 0 ? x : 0) + log1p(exp(x > 0 ? -x : x));
}
/// `1/(1 + e^-x)`.
INFALIGN_HD inline double sigmoid(double x) {
  using std::exp;
  const double e = exp(x < 0 ? x : -x);
  return (x < 0 ? e : 1.0) / (1 + e);
}

/// `(x - target)²` and its derivative, cut as losses are.
INFALIGN_HD inline margin_value squared_distance(double x, double target) {
  const double d = x - target;
  return {capped_product(d, d), capped_product(2, d)};
}

INFALIGN_KEYED inline double positive_beta(std::string_view loss, double beta) {
  expects<domain_error>(beta > 0, loss, "beta is ", beta, ", must be positive");
  return beta;
}

}  // namespace detail

}  // namespace infalign
