// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy gradients from hidden states: logits are the product of hidden states and the output matrix, of which a few rows at a time are
/// in memory.
#pragma once

#include <algorithm>
#include <concepts>
#include <string_view>
#include <utility>

#include "infalign/core/product_form.hpp"
#include "infalign/objective/policy_gradient.hpp"

namespace infalign {

/// T tokens whose logits are `hidden·matrixᵀ`.
template <class L, class Space = host_memory>
struct hidden_logits {
  using memory_space = Space;
  rows<const L, Space> hidden{};       ///< T×D hidden states of the policy, one a token
  rows<const L, Space> matrix{};       ///< V×D, the output matrix (PyTorch's `lm_head.weight`)
  token_ids<Space> tokens{};           ///< T ids
  rows<const L, Space> base_hidden{};  ///< T×E of the base policy, or empty: no base
  rows<const L, Space> base_matrix{};  ///< V×E
  logit_map map{};
};

/// Where the gradient goes.
template <class L, class Space = host_memory>
struct hidden_gradient {
  using memory_space = Space;
  rows<L, Space> hidden{};  ///< T×D
  rows<L, Space> matrix{};  ///< V×D
};

namespace detail {

template <class L, class Space>
INFALIGN_KEYED void check_hidden(std::string_view function, const hidden_logits<L, Space>& batch,
                                 const hidden_gradient<L, Space>& gradient) {
  const index_t tokens = batch.tokens.size(), vocabulary = batch.matrix.size(), width = batch.matrix.columns();
  const auto is = [&](std::string_view name, const auto& matrix, index_t n, index_t columns) {
    expects<shape_error>(matrix.size() == n && matrix.columns() == columns, function, name, " is ", matrix.size(), " x ",
                         matrix.columns(), ", must be ", n, " x ", columns);
  };
  is("hidden", batch.hidden, tokens, width);
  is("gradient.hidden", gradient.hidden, tokens, width);
  is("gradient.matrix", gradient.matrix, vocabulary, width);
  if (!batch.base_hidden.empty() || !batch.base_matrix.empty()) {
    is("base_hidden", batch.base_hidden, tokens, batch.base_matrix.columns());
    is("base_matrix", batch.base_matrix, vocabulary, batch.base_matrix.columns());
  }
  const auto apart = [&](std::string_view name, const rows<L, Space>& out) {
    expects_apart(function, name, out, "hidden", batch.hidden);
    expects_apart(function, name, out, "matrix", batch.matrix);
    expects_apart(function, name, out, "base_hidden", batch.base_hidden);
    expects_apart(function, name, out, "base_matrix", batch.base_matrix);
    expects_apart(function, name, out, "tokens", batch.tokens);
  };
  apart("gradient.hidden", gradient.hidden);
  apart("gradient.matrix", gradient.matrix);
  expects_apart(function, "gradient.hidden", gradient.hidden, "gradient.matrix", gradient.matrix);
}

/// All that `policy_gradient` checks, of all chunks before the first is written.
template <class Loss, class B, class L, class A, class O, class T, class Space>
void check_hidden_batch(B& on, std::string_view function, const hidden_logits<L, Space>& batch,
                        const token_data<A, O, Space>& data, const objective_weights& weights,
                        const token_statistics<T, Space>& statistics, const hidden_gradient<L, Space>& gradient) {
  assert_loss<Loss>();
  const auto expects_matrix = [&](std::string_view name, const rows<const L, Space>& matrix) {
    expects_groups(on, function, name, matrix);
  };
  expects_matrix("hidden", batch.hidden);
  expects_matrix("matrix", batch.matrix);
  expects_matrix("base_hidden", batch.base_hidden);
  expects_matrix("base_matrix", batch.base_matrix);
  expects_matrix("gradient.hidden", gradient.hidden);
  expects_matrix("gradient.matrix", gradient.matrix);
  batch.tokens.visit([&](const auto& ids) { expects_span(function, "tokens", ids); });
  check_hidden(function, batch, gradient);
  check_logit_map(function, batch.map);
  expects_ids(on, function, "tokens", batch.tokens, 0, batch.matrix.size() - 1);
  const token_logits<L, Space> of_tokens{{}, {}, batch.tokens};
  check_statistics(function, statistics, of_tokens);
  check_count(function, "advantages", data.advantages, batch.tokens.size());
  check_token_data<Loss>(on, function, of_tokens, data, true);
  for_each_wanted(statistics, [&](std::string_view name, const auto& values) {
    expects_apart(function, name, values, "gradient.hidden", gradient.hidden);
    expects_apart(function, name, values, "gradient.matrix", gradient.matrix);
    expects_apart(function, name, values, "hidden", batch.hidden);
    expects_apart(function, name, values, "matrix", batch.matrix);
    expects_apart(function, name, values, "base_hidden", batch.base_hidden);
    expects_apart(function, name, values, "base_matrix", batch.base_matrix);
    check_apart_from_data(function, name, values, data);
  });
  check_apart_from_data(function, "gradient.hidden", gradient.hidden, data);
  check_apart_from_data(function, "gradient.matrix", gradient.matrix, data);
  check_weights<Loss>(function, !batch.base_matrix.empty() || batch.tokens.empty(), !data.base_log_prob.empty(), weights);
}

/// Rows `begin … begin + n`.
template <class T, class Space>
rows<T, Space> part_of(const rows<T, Space>& all, index_t begin, index_t n) {
  return {all.data() + begin * all.stride(), n, all.columns(), all.stride()};
}

/// A twentieth of all logits in memory at a time, policy and base together, but no less than a row.
inline index_t default_tokens_at_once(index_t tokens, bool has_base) {
  return std::max<index_t>(1, tokens / (has_base ? 40 : 20));
}

}  // namespace detail

/// `policy_gradient` of the logits `hidden·matrixᵀ`, with its gradient by hidden states and by the output matrix. T×V logits are never in
/// memory: chunks of tokens are multiplied, turned into their gradient in place, and multiplied back.
///
/// - `product(left, right, out, form)`: the caller's matrix product. Matrices are row-major: `rows<const L>` twice and `rows<L>`; `form`
///   is a `product_form`. `eigen_product` of `interop/eigen.hpp` is one for the host. On a GPU it enqueues on the backend's stream.
/// - `gradient.hidden = G·matrix` and `gradient.matrix = Gᵀ·hidden` for the gradient `G` that `policy_gradient` describes; both are
///   overwritten. `gradient.matrix` is added to in its own type, chunk by chunk.
/// - `loss`, `advantages`, `weights`, `statistics`: as for `policy_gradient`. The `position` that a loss is told counts from the
///   beginning of the chunk.
/// - `tokens_at_once`: the size of a chunk; 0: T/20, with a base policy T/40. More of them make larger products, which are faster.
/// - Cost: three products of T×V×D, a fourth with a base policy, and the passes of `policy_gradient`. Scratch: `tokens_at_once` rows of V
///   logits, twice that with a base.
/// - Error: logits and gradients have that of `product`; between them that of `policy_gradient`. `gradient.matrix` is rounded to its type
///   once for every chunk.
/// - Errors: those of `policy_gradient`, and `shape_error` for matrices that do not fit, before anything is written.
template <backend B, class Loss, class L, class Data, class T, class Space, class Product>
  requires reachable_from<B, hidden_logits<L, Space>>
void hidden_policy_gradient(B&& on, const Loss& loss, const hidden_logits<L, Space>& batch, const Data& advantages,
                            const objective_weights& weights, const token_statistics<T, Space>& statistics,
                            const hidden_gradient<L, Space>& gradient, const Product& product, index_t tokens_at_once = 0) {
  constexpr std::string_view function = "hidden_policy_gradient";
  static_assert(std::invocable<const Product&, const rows<const L, Space>&, const rows<const L, Space>&, const rows<L, Space>&,
                               const product_form&>,
                "infalign: a product must be callable as product(left, right, out, product_form)");
  const auto data = detail::as_token_data(advantages);
  detail::check_hidden_batch<Loss>(on, function, batch, data, weights, statistics, gradient);
  expects<shape_error>(tokens_at_once >= 0, function, "tokens_at_once is ", tokens_at_once, ", must not be negative");
  const index_t tokens = batch.tokens.size(), vocabulary = batch.matrix.size();
  const bool has_base = !batch.base_matrix.empty();
  const index_t most = std::max<index_t>(
      1, std::min(tokens, tokens_at_once > 0 ? tokens_at_once : detail::default_tokens_at_once(tokens, has_base)));
  auto frame = on.scratch();
  L* const logits = frame.template take<L>(most * vocabulary);
  L* const base_logits = has_base ? frame.template take<L>(most * vocabulary) : nullptr;
  index_t begin = 0;
  do {
    const index_t n = std::min(most, tokens - begin);
    const rows<const L, Space> hidden = detail::part_of(batch.hidden, begin, n), read(logits, n, vocabulary);
    const rows<L, Space> written(logits, n, vocabulary);
    token_logits<L, Space> chunk{read, {}, batch.tokens.part(begin, n), batch.map};
    product(hidden, batch.matrix, written, product_form{.transposes_right = true});
    if (has_base) {
      const rows<L, Space> base(base_logits, n, vocabulary);
      product(rows<const L, Space>(detail::part_of(batch.base_hidden, begin, n)), batch.base_matrix, base,
              product_form{.transposes_right = true});
      chunk.base = base;
    }
    detail::run_policy_gradient(on, loss, chunk, data.part(begin, n), weights, statistics.part(begin, n), any_rows(written));
    product(read, batch.matrix, detail::part_of(gradient.hidden, begin, n), product_form{});
    product(read, hidden, gradient.matrix, product_form{.transposes_left = true, .adds = begin > 0});
    begin += n;
  } while (begin < tokens);
}

}  // namespace infalign
