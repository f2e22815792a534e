// SPDX-License-Identifier: Apache-2.0
/// \file
/// Preference losses of given log-probabilities, with their derivatives: for a trainer whose framework does the backward pass.
#pragma once

#include <string_view>

#include "infalign/objective/detail/check_objective.hpp"
#include "infalign/objective/preference/detail/response_kernels.hpp"
#include "infalign/objective/preferences.hpp"

namespace infalign {

/// The log-probabilities of R responses and what else losses may ask.
///
/// \code
/// infalign::response_log_probs(log_prob).with_base(base_log_prob)                                       // sums over tokens
/// infalign::response_log_probs(log_prob).with_base(base_log_prob).with_lengths(n).with_rewards(phi)
/// \endcode
template <class Space>
struct response_log_probs {
  using memory_space = Space;
  token_weights<Space> log_prob;         ///< `log π(y)`
  token_weights<Space> base_log_prob{};  ///< `log π₀(y)`
  token_weights<Space> lengths{};        ///< numbers of tokens, for losses of means over them; without, 1
  token_weights<Space> rewards{};        ///< what a loss finds in `response_row::reward`; without, 1

  template <class LogProbs>
  explicit response_log_probs(const LogProbs& of_responses) : log_prob(infalign::span(of_responses)) {}

  [[nodiscard]] response_log_probs with_base(const token_weights<Space>& of_responses) const {
    response_log_probs same = *this;
    same.base_log_prob = of_responses;
    return same;
  }
  [[nodiscard]] response_log_probs with_lengths(const token_weights<Space>& of_responses) const {
    response_log_probs same = *this;
    same.lengths = of_responses;
    return same;
  }
  [[nodiscard]] response_log_probs with_rewards(const token_weights<Space>& of_responses) const {
    response_log_probs same = *this;
    same.rewards = of_responses;
    return same;
  }
};
template <class LogProbs>
response_log_probs(const LogProbs&) -> response_log_probs<typename detail::span_over<LogProbs>::memory_space>;

namespace detail {

template <class T, class Space>
struct given_rows_kernel {
  response_log_probs<Space> of;
  response_row* rows;
  preference_pointers<T> out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    team.once([&] {
      const double log_prob = of.log_prob[r];
      const double log_ratio = of.base_log_prob.empty() ? log_prob : log_prob - of.base_log_prob[r];
      rows[r] = {log_prob, log_ratio, of.lengths[r], of.rewards[r], r};
      if (out.log_prob != nullptr) out.log_prob[r] = static_cast<T>(log_prob);
      if (out.log_ratio != nullptr) out.log_ratio[r] = static_cast<T>(log_ratio);
    });
  }
};

template <class T>
struct scaled_slopes_kernel {
  const double* slopes;
  double scale;
  T* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    team.once([&] { out[r] = static_cast<T>(product(scale, slopes[r])); });
  }
};

template <class Loss, class B, class T, class Space>
void check_log_probs(B& on, std::string_view function, const response_log_probs<Space>& of, index_t losses, double scale,
                     const preference_statistics<T, Space>& statistics, const span<T, Space>& by_log_prob) {
  const auto always = [](index_t) { return true; };
  const index_t n = of.log_prob.size();
  const auto apart = [&](std::string_view name, const token_weights<Space>& numbers) {
    expects_apart(function, "by_log_prob", by_log_prob, name, numbers);
    for_each_wanted(statistics, losses, n, [&](std::string_view of_statistics, const auto& values, index_t) {
      expects_apart(function, of_statistics, values, name, numbers);
    });
  };
  constexpr std::string_view what = "responses", no_nan = "a number or -inf";
  check_numbers<is_nan_or_infinite>(on, function, "log_prob", of.log_prob, n, what, no_nan, always);
  check_numbers<is_nan_or_infinite>(on, function, "base_log_prob", of.base_log_prob, n, what, no_nan, always);
  check_numbers<is_negative_or_not_finite>(on, function, "lengths", of.lengths, n, what, "finite and not negative", always);
  check_numbers<is_not_finite>(on, function, "rewards", of.rewards, n, what, "finite", always);
  apart("log_prob", of.log_prob);
  apart("base_log_prob", of.base_log_prob);
  apart("lengths", of.lengths);
  apart("rewards", of.rewards);
  check_scale(function, scale);
  if (reads_base<Loss>) expects<domain_error>(!of.base_log_prob.empty() || n == 0, function, "loss needs base_log_prob");
  expects_span(function, "by_log_prob", by_log_prob);
  expects<shape_error>(by_log_prob.size() == n, function, "by_log_prob has ", by_log_prob.size(), " values, but there are ", n,
                       " responses");
  check_statistics(function, statistics, losses, n, "by_log_prob", by_log_prob);
}

template <class B, class T, class Space, class Losses>
void run_log_probs(B& on, const response_log_probs<Space>& of, double scale, const preference_statistics<T, Space>& statistics,
                   const span<T, Space>& by_log_prob, const Losses& losses) {
  const index_t n = of.log_prob.size();
  auto frame = on.scratch();
  auto* const rows = frame.template take<response_row>(n);
  on.groups(n, 4 * n, given_rows_kernel<T, Space>{of, rows, pointers(statistics)});
  const double* const slopes = losses(frame, rows);
  on.groups(n, n, scaled_slopes_kernel<T>{slopes, scale, by_log_prob.data()});
}

}  // namespace detail

/// The losses of P pairs of responses whose log-probabilities are given, and the derivatives of `scale·Σ_p loss_p` by them: what to hand to
/// the backward pass of a framework. `preference_gradient` does the same from logits.
///
/// - `loss` and `pairs` as there. Shapes: one number a response in `of` and `by_log_prob`, `statistics` as their type says.
/// - Finite log-probabilities give finite numbers at any margin. Error: of values and derivatives relative 1e-13, given the margins,
///   which are differences in `double`.
/// - Cost: a few exponentials a pair; 48 bytes of scratch a response, 16 a pair.
/// - Errors: `shape_error`, `domain_error` (a pair, a reward, a length, a log-probability of NaN or +inf, no base policy for a loss that
///   needs it), before anything is written.
template <backend B, class Loss, class Space, class Pairs, class T>
  requires reachable_from<B, response_log_probs<Space>>
void preference_losses(B&& on, const Loss& loss, const response_log_probs<Space>& of, const Pairs& pairs, double scale,
                       const preference_statistics<T, Space>& statistics, const span<T, Space>& by_log_prob) {
  constexpr std::string_view function = "preference_losses";
  static_assert(margin_loss<Loss> || pair_loss<Loss>, "infalign: not a loss of pairs, see preference_loss.hpp");
  const span<const response_pair, Space> list = span(pairs);
  detail::check_log_probs<Loss>(on, function, of, list.size(), scale, statistics, by_log_prob);
  detail::check_pairs(on, function, list, of.log_prob.size());
  detail::expects_apart(function, "by_log_prob", by_log_prob, "pairs", list);
  detail::for_each_wanted(statistics, list.size(), of.log_prob.size(), [&](std::string_view name, const auto& values, index_t) {
    detail::expects_apart(function, name, values, "pairs", list);
  });
  detail::run_log_probs(on, of, scale, statistics, by_log_prob, [&](auto& frame, const response_row* rows) {
    return detail::run_pair_losses(on, frame, loss, rows, of.log_prob.size(), list, detail::pointers(statistics));
  });
}

/// The same of single responses: `qrpo`, `weighted_sft`. `statistics.loss` receives one value a response.
template <backend B, class Loss, class Space, class T>
  requires reachable_from<B, response_log_probs<Space>>
void response_losses(B&& on, const Loss& loss, const response_log_probs<Space>& of, double scale,
                     const preference_statistics<T, Space>& statistics, const span<T, Space>& by_log_prob) {
  constexpr std::string_view function = "response_losses";
  static_assert(response_loss<Loss>, "infalign: not a loss of responses, see preference_loss.hpp");
  detail::check_log_probs<Loss>(on, function, of, of.log_prob.size(), scale, statistics, by_log_prob);
  expects<shape_error>(statistics.margin.empty(), function, "statistics.margin has ", statistics.margin.size(),
                       " values, but there are no pairs");
  detail::run_log_probs(on, of, scale, statistics, by_log_prob, [&](auto& frame, const response_row* rows) {
    return detail::run_response_losses(on, frame, loss, rows, of.log_prob.size(), detail::pointers(statistics));
  });
}

}  // namespace infalign
