// SPDX-License-Identifier: Apache-2.0
/// \file
/// Preference objectives straight from logits: pass 1 over the tokens of all responses, the loss of pairs or of responses, pass 2.
#pragma once

#include <string_view>
#include <type_traits>

#include "infalign/logits/passes.hpp"
#include "infalign/logits/token_statistics.hpp"
#include "infalign/objective/detail/check_objective.hpp"
#include "infalign/objective/preference/detail/response_kernels.hpp"
#include "infalign/objective/preferences.hpp"

namespace infalign {

/// What is known of R responses besides the logits of their T tokens.
///
/// \code
/// infalign::responses(offsets)                                    // every token weighs 1; base logits stand in the batch
/// infalign::responses(offsets).with_base(base_log_prob)           // log-probabilities of the tokens under the base policy
/// infalign::responses(offsets).weighted_by(mask).with_rewards(phi)
/// \endcode
template <class Space>
struct responses {
  using memory_space = Space;
  span<const index_t, Space> offsets;    ///< R+1 positions into the tokens, from 0 to T
  token_weights<Space> weights{};        ///< one a token, as in `token_data`: prompts and padding have 0, and are not read
  token_weights<Space> base_log_prob{};  ///< one a token; without, base logits say it
  token_weights<Space> rewards{};        ///< one a response: what a loss finds in `response_row::reward`; without, 1

  template <class Offsets>
  explicit responses(const Offsets& positions) : offsets(infalign::span(positions)) {}

  [[nodiscard]] responses weighted_by(const token_weights<Space>& of_tokens) const {
    responses same = *this;
    same.weights = of_tokens;
    return same;
  }
  [[nodiscard]] responses with_base(const token_weights<Space>& of_tokens) const {
    responses same = *this;
    same.base_log_prob = of_tokens;
    return same;
  }
  [[nodiscard]] responses with_rewards(const token_weights<Space>& of_responses) const {
    responses same = *this;
    same.rewards = of_responses;
    return same;
  }
  [[nodiscard]] index_t size() const { return offsets.empty() ? 0 : offsets.size() - 1; }
};
template <class Offsets>
responses(const Offsets&) -> responses<typename detail::span_over<Offsets>::memory_space>;

namespace detail {

/// Sums over the tokens of a response.
template <class T, class Space>
struct response_rows_kernel {
  responses<Space> of;
  token_ids<Space> tokens;
  bool has_base;
  const row_statistics* statistics;
  response_row* rows;
  preference_pointers<T> out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    const index_t first = of.offsets[r], n = of.offsets[r + 1] - first;
    const auto sum = [&](const auto& value) {
      return team.sum_items(n, [&](index_t i) {
        const index_t t = first + i;
        const double weight = tokens.ignores(t) ? 0 : of.weights[t];
        return weight == 0 ? 0.0 : value(t, weight);
      });
    };
    const double length = sum([](index_t, double) { return 1.0; });
    const double log_prob = sum([&](index_t t, double c) { return c * statistics[t].log_prob(); });
    const double log_ratio = sum([&](index_t t, double c) { return c * (statistics[t].log_prob() - base(t)); });
    team.once([&] {
      rows[r] = {log_prob, log_ratio, length, of.rewards[r], r};
      if (out.log_prob != nullptr) out.log_prob[r] = static_cast<T>(log_prob);
      if (out.log_ratio != nullptr) out.log_ratio[r] = static_cast<T>(log_ratio);
    });
  }

 private:
  INFALIGN_HD double base(index_t t) const {
    if (!of.base_log_prob.empty()) return of.base_log_prob[t];
    return has_base ? statistics[t].base_log_prob() : 0;
  }
};

/// The coefficients of the gradient of every token of a response.
template <class Space>
struct response_coefficients_kernel {
  responses<Space> of;
  const double* by_response;
  double scale;
  row_coefficients* coefficients;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    const index_t first = of.offsets[r];
    const double score = -product(scale, by_response[r]);
    team.items(of.offsets[r + 1] - first, [&](index_t i) {
      coefficients[first + i] = {product(of.weights[first + i], score), 0, 0};
    });
  }
};

template <class Loss, class B, class L, class T, class G, class Space>
void check_responses(B& on, std::string_view function, const token_logits<L, Space>& batch, const responses<Space>& of,
                     index_t losses, double scale, const preference_statistics<T, Space>& statistics,
                     const any_rows<G, Space>& gradient) {
  check_logits(on, function, batch, 0, of.weights);
  check_gradient(on, function, gradient, batch);
  expects_span(function, "offsets", of.offsets);
  expects<shape_error>(!of.offsets.empty() || batch.tokens.empty(), function, "offsets is empty, but there are ",
                       batch.tokens.size(), " tokens");
  batch.tokens.visit([&]<class Id>(const span<const Id, Space>& ids) {
    expects_groups(on, function, "offsets", ragged<const Id, Space>(ids, of.offsets), "");
  });
  const auto is_weighed = [&](index_t t) {
    return of.weights.visit([&](const auto& w) { return w.empty() || on.read(w.data() + t) != 0; }) &&
           batch.tokens.visit([&](const auto& ids) {
             const auto id = static_cast<index_t>(on.read(ids.data() + t));
             return id != batch.tokens.ignored_or(id + 1);
           });
  };
  const auto always = [](index_t) { return true; };
  const index_t tokens = batch.tokens.size();
  check_numbers<is_not_finite>(on, function, "weights", of.weights, tokens, "tokens", "finite", always);
  check_numbers<is_nan_or_infinite>(on, function, "base_log_prob", of.base_log_prob, tokens, "tokens", "a number or -inf",
                                    is_weighed);
  check_numbers<is_not_finite>(on, function, "rewards", of.rewards, of.size(), "responses", "finite", always);
  check_scale(function, scale);
  if (reads_base<Loss>)
    expects<domain_error>(!batch.base.empty() || !of.base_log_prob.empty() || batch.tokens.empty(), function,
                          "loss needs base logits or base_log_prob");
  const auto apart = [&](std::string_view name, const auto& out) {
    expects_apart(function, name, out, "offsets", of.offsets);
    expects_apart(function, name, out, "weights", of.weights);
    expects_apart(function, name, out, "base_log_prob", of.base_log_prob);
    expects_apart(function, name, out, "rewards", of.rewards);
  };
  apart("gradient", gradient);
  check_statistics(function, statistics, losses, of.size(), "gradient", gradient);
  for_each_wanted(statistics, losses, of.size(), [&](std::string_view name, const auto& values, index_t) {
    apart(name, values);
    check_apart_from_batch(function, name, values, batch);
  });
}

/// Both passes. `losses(frame, rows)` gives the derivatives by the responses.
template <class B, class L, class T, class G, class Space, class Losses>
void run_responses(B& on, const token_logits<L, Space>& batch, const responses<Space>& of, double scale,
                   const preference_statistics<T, Space>& statistics, const any_rows<G, Space>& gradient,
                   const Losses& losses) {
  const index_t tokens = batch.tokens.size();
  auto frame = on.scratch();
  auto* const of_tokens = frame.template take<row_statistics>(tokens);
  auto* const coefficients = frame.template take<row_coefficients>(tokens);
  auto* const of_responses = frame.template take<response_row>(of.size());
  token_logits<L, Space> read = batch;
  if (!of.base_log_prob.empty()) read.base = {};
  with_kept_rows(on, read, of.weights, [&](row_batch<L, Space> rows_read) {
    with_terms(rows_read, false, [&]<class Terms>(Terms) {
      on.groups(tokens, logits_cost(rows_read), statistics_kernel<Terms, L, T, Space>{rows_read, {}, of_tokens, of.weights});
    });
    on.groups(
        of.size(), 16 * tokens,
        response_rows_kernel<T, Space>{of, batch.tokens, !read.base.empty(), of_tokens, of_responses, pointers(statistics)});
    const double* const by_response = losses(frame, of_responses);
    on.groups(of.size(), 2 * tokens, response_coefficients_kernel<Space>{of, by_response, scale, coefficients});
    rows_read.base = {};
    with_kept_gradient(on, batch.kept, gradient, [&](const auto& rows_out) {
      run_gradient(on, rows_read, false, of_tokens, coefficients, rows_out, of.weights);
    });
  });
}

}  // namespace detail

/// Gradient of `scale·Σ_p loss_p` over P pairs of responses with respect to the logits of every token.
///
/// Pass 1 gives the log-probability of each token; those of a response add up to `log π(y)` and its log-ratio to the base policy. A loss
/// maps two responses to a number and its derivatives `w` by their log-probabilities; token `a` of a response then has the gradient
/// `scale·c·w·(1{j = a} - p_j)`, with `w` summed over the pairs that the response is in.
///
/// \code
/// preference_gradient(on, infalign::dpo(infalign::kl_weight(0.1)), batch, infalign::responses(offsets), pairs, 1.0 / pairs.size(),
///                     {.loss = losses, .margin = margins}, gradient);
/// \endcode
///
/// - `loss`: of `objective/preferences.hpp`, or a type of your own (`objective/preference/preference_loss.hpp`).
/// - `of`: the responses, with weights of tokens, and log-probabilities under the base policy if the batch has no base logits. Tokens of
///   weight 0 or with an id that is left out (`token_ids(ids).ignoring(-100)`) are not read and get a gradient of 0.
/// - `pairs`: a span of P `response_pair`. A response may be in any number of pairs; one that is in none gets a gradient of 0.
/// - `scale`: 1/P for the mean over pairs that trainers take, P counted over all micro-batches and ranks.
/// - Shapes: `batch` T×V logits, response after response; `gradient` T×V, which may be the logits of either policy.
/// - Finite logits give finite numbers at any margin: losses and derivatives are cut at `largest_loss`. A response whose log-probability
///   is not a number, or a derivative that is infinite, makes NaN of its own rows and of those of its partners, as a whole.
/// - Cost: logits are read twice, gradients written once, base logits read once; P steps of one lane to add up derivatives. Scratch of
///   112 bytes a token, 48 a response, 16 a pair. Deterministic; equal for every number of threads.
/// - Error: `log π(y)` has the errors of its tokens' log-probabilities (`compute_token_statistics`), added in `double`; of it the loss and
///   `w` follow to a relative 1e-13; entries have the error of `policy_gradient` with this `w`.
/// - Errors: `shape_error`, `domain_error` (a token id, a pair, a weight, a reward; no base policy for a loss that needs it), before
///   anything is written.
template <backend B, class Loss, class L, class Space, class Pairs, class T, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void preference_gradient(B&& on, const Loss& loss, const token_logits<L, Space>& batch, const responses<Space>& of,
                         const Pairs& pairs, double scale, const preference_statistics<T, Space>& statistics,
                         const Gradient& gradient) {
  constexpr std::string_view function = "preference_gradient";
  const any_rows out(gradient);
  static_assert(margin_loss<Loss> || pair_loss<Loss>,
                "infalign: a loss of pairs must have `margin_value operator()(double) const`, or `pair_value operator()(const "
                "response_row&, const response_row&) const`, and be copyable");
  const span<const response_pair, Space> list = span(pairs);
  detail::check_responses<Loss>(on, function, batch, of, list.size(), scale, statistics, out);
  detail::check_pairs(on, function, list, of.size());
  detail::expects_apart(function, "gradient", out, "pairs", list);
  detail::for_each_wanted(statistics, list.size(), of.size(), [&](std::string_view name, const auto& values, index_t) {
    detail::expects_apart(function, name, values, "pairs", list);
  });
  detail::run_responses(on, batch, of, scale, statistics, out, [&](auto& frame, const response_row* of_responses) {
    return detail::run_pair_losses(on, frame, loss, of_responses, of.size(), list, detail::pointers(statistics));
  });
}

/// The same of `scale·Σ_r loss_r` over single responses: `qrpo`, `weighted_sft`. `statistics.loss` receives one value a response;
/// `statistics.margin` must be empty.
template <backend B, class Loss, class L, class Space, class T, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void response_gradient(B&& on, const Loss& loss, const token_logits<L, Space>& batch, const responses<Space>& of, double scale,
                       const preference_statistics<T, Space>& statistics, const Gradient& gradient) {
  constexpr std::string_view function = "response_gradient";
  const any_rows out(gradient);
  static_assert(
      response_loss<Loss>,
      "infalign: a loss of responses must have `response_value operator()(const response_row&) const` and be copyable");
  detail::check_responses<Loss>(on, function, batch, of, of.size(), scale, statistics, out);
  expects<shape_error>(statistics.margin.empty(), function, "statistics.margin has ", statistics.margin.size(),
                       " values, but there are no pairs");
  detail::run_responses(on, batch, of, scale, statistics, out, [&](auto& frame, const response_row* of_responses) {
    return detail::run_response_losses(on, frame, loss, of_responses, of.size(), detail::pointers(statistics));
  });
}

}  // namespace infalign
