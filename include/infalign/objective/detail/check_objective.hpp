// SPDX-License-Identifier: Apache-2.0
/// \file
/// Checks of the arguments that every policy gradient has, of single tokens or of sequences.
#pragma once

#include <string_view>
#include <type_traits>

#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/logits/passes.hpp"
#include "infalign/logits/token_statistics.hpp"
#include "infalign/objective/loss/token_loss.hpp"

namespace infalign {

namespace detail {

/// `Offends` is false for the values of all tokens for which `counts(t)`.
template <template <class> class Offends, class B, class T, class Space, class Counts>
void expects_each_counted(B& on, std::string_view function, std::string_view name, const span<T, Space>& values,
                          std::string_view requirement, const Counts& counts) {
  if (!on.checks_values()) return;
  using Value = std::remove_cv_t<T>;
  for (index_t begin = 0; begin < values.size();) {
    const index_t n = values.size() - begin;
    const index_t found = on.template first<compute_t<Value>>(n, Offends<Value>{values.data() + begin});
    if (found == n) return;
    const index_t t = begin + found;
    if (counts(t))
      raise<domain_error>(function, name, "[", t, "] is ", static_cast<double>(on.read(values.data() + t)), ", must be ",
                          requirement);
    begin = t + 1;
  }
}

/// Whatever a trainer hands in for tokens: no NaN may pass into a gradient unseen. The number of advantages is the caller's to
/// check; `one_each`: they are those of tokens.
template <class Loss, class B, class L, class A, class O, class Space>
void check_token_data(B& on, std::string_view function, const token_logits<L, Space>& batch,
                      const token_data<A, O, Space>& data, bool one_each) {
  const index_t tokens = batch.tokens.size();
  check_weights_size(function, data.weights, tokens);
  data.weights.visit([&](const auto& weights) { expects_finite(on, function, "weights", weights); });
  const auto counts = [&](index_t t) {
    const auto is_weighed = [&](const auto& weights) { return weights.empty() || on.read(weights.data() + t) != 0; };
    const auto is_read = [&](const auto& ids) {
      const auto id = static_cast<index_t>(on.read(ids.data() + t));
      return id != batch.tokens.ignored_or(id + 1);
    };
    return data.weights.visit(is_weighed) && batch.tokens.visit(is_read);
  };
  expects_span(function, "advantages", data.advantages);
  if (one_each)
    expects_each_counted<is_not_finite>(on, function, "advantages", data.advantages, "finite", counts);
  else
    expects_finite(on, function, "advantages", data.advantages);
  const auto check_log_prob = [&](std::string_view name, const auto& log_prob, bool needed) {
    if (!needed && log_prob.empty()) return;
    check_count(function, name, log_prob, tokens);
    expects_each_counted<is_nan_or_infinite>(on, function, name, log_prob, "a number or -inf", counts);
  };
  check_log_prob("old_log_prob", data.old_log_prob, needs_old_log_prob<Loss>);
  check_log_prob("base_log_prob", data.base_log_prob, false);
}

/// What a loss and its weights need of the base policy.
template <class Loss>
void check_weights(std::string_view function, bool has_base, bool has_base_log_prob, const objective_weights& weights) {
  expects<domain_error>(has_base || weights.kl.value == 0, function, "weights.kl is ", weights.kl.value, ", needs base logits");
  expects<domain_error>(weights.scale - weights.scale == 0, function, "weights.scale is ", weights.scale, ", must be finite");
  if (needs_base<Loss>) expects<domain_error>(has_base, function, "loss needs base logits");
  if (needs_base_log_prob<Loss>)
    expects<domain_error>(has_base || has_base_log_prob, function, "loss needs base logits or base_log_prob");
}

/// Results must not overlap what is known of the tokens.
template <class A, class O, class Out, class Space>
INFALIGN_KEYED void check_apart_from_data(std::string_view function, std::string_view name, const Out& out,
                                          const token_data<A, O, Space>& data) {
  expects_apart(function, name, out, "advantages", data.advantages);
  expects_apart(function, name, out, "old_log_prob", data.old_log_prob);
  expects_apart(function, name, out, "base_log_prob", data.base_log_prob);
  expects_apart(function, name, out, "weights", data.weights);
}

/// Checks the arguments that every policy gradient has, of single tokens or of sequences.
template <class Loss, class B, class L, class A, class O, class T, class G, class Space>
void check_objective(B& on, std::string_view function, const token_logits<L, Space>& batch, const token_data<A, O, Space>& data,
                     bool one_advantage_each, const objective_weights& weights, const token_statistics<T, Space>& statistics,
                     const any_rows<G, Space>& gradient) {
  assert_loss<Loss>();
  check_logits(on, function, batch, 0, data.weights);
  check_statistics(function, statistics, batch);
  check_gradient(on, function, gradient, batch);
  check_token_data<Loss>(on, function, batch, data, one_advantage_each);
  check_apart_from_data(function, "gradient", gradient, data);
  for_each_wanted(statistics, [&](std::string_view name, const auto& values) {
    check_apart_from_data(function, name, values, data);
    expects_apart(function, name, values, "gradient", gradient);
  });
  check_weights<Loss>(function, !batch.base.empty() || batch.policy.empty(), !data.base_log_prob.empty(), weights);
}

/// Whether the entropy of a row must be computed.
template <class Loss, class T, class Space>
bool wants_entropy(const objective_weights& weights, const token_statistics<T, Space>& statistics) {
  return needs_entropy<Loss> || weights.entropy.value > 0 || !statistics.entropy.empty();
}

}  // namespace detail

}  // namespace infalign
