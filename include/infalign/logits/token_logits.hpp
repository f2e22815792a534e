// SPDX-License-Identifier: Apache-2.0
/// \file
/// A batch of rows of logits, one a token: what every pass over logits is given.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/logits/kept_ids.hpp"
#include "infalign/logits/logit_map.hpp"
#include "infalign/logits/row_state.hpp"
#include "infalign/logits/token_ids.hpp"

namespace infalign {

/// The logits of T tokens and the ids that were sampled.
///
/// \code
/// token_logits{policy, base, tokens}                                     // the softmax of the logits as they are
/// token_logits{policy, base, tokens}.scaled(1 / temperature)             // of l/temperature
/// token_logits{policy, base, tokens}.soft_capped(30).scaled(1 / 0.7)     // of 30·tanh(l/30)/0.7, in any order of the calls
/// \endcode
///
/// Each of the four calls returns a batch and checks nothing; the pass that takes the batch does. Scales of repeated calls multiply; of
/// the other three, the last call counts. Errors of the passes: `domain_error` for a scale that is not positive and finite, a cap that
/// is not positive (an infinite one is none), a threshold of NaN or +inf, kept ids that do not ascend within the vocabulary or lack the
/// token's own; `shape_error` for offsets or thresholds that are not those of T tokens.
template <class L, class Space = host_memory>
struct token_logits {
  using value_type = L;
  using memory_space = Space;
  any_rows<const L, Space> policy{};  ///< T×V logits of the policy: `rows`, a slice of a batch, or rows at offsets
  any_rows<const L, Space> base{};    ///< T×V logits of the base policy, lying as they like, or empty: no base
  token_ids<Space> tokens{};          ///< T ids in [0, V), of 32 or 64 bits
  logit_map map{};                    ///< what the logits of both policies become before the softmax
  kept_ids<Space> kept{};             ///< the ids among which probabilities are, of both policies
  token_weights<Space> thresholds{};  ///< one a token: logits of the policy below it are masked in both

  /// Logits are multiplied by `by`, the inverse of the temperature, after they are capped. Gradients are by the logits as they are.
  [[nodiscard]] token_logits scaled(double by) const {
    token_logits same = *this;
    same.map.scale *= by;
    return same;
  }
  /// Both policies are restricted to the ids that a sampler with top-k, top-p or min-p kept: probabilities, KL and entropy are those
  /// among `ids[offsets[t] … offsets[t+1])`, and the gradient is 0 elsewhere, as if all other logits were -inf. The ids of a token
  /// ascend and hold its own. No other logit is read; the cost is that of the ids, and of clearing the gradient. Scratch: the kept
  /// logits of both policies and their gradient.
  template <class Offsets>
  [[nodiscard]] token_logits keeping(const token_ids<Space>& ids, const Offsets& offsets) const {
    token_logits same = *this;
    same.kept = {ids, span(offsets)};
    return same;
  }
  /// The same set said by a threshold for each token: the ids whose logits of the policy, as they are in memory, are at least `lowest[t]`.
  /// All logits are read. A sampled token below its threshold is a masked one.
  [[nodiscard]] token_logits at_least(const token_weights<Space>& lowest) const {
    token_logits same = *this;
    same.thresholds = lowest;
    return same;
  }
  /// Logits become `cap·tanh(l/cap)` before they are scaled. A logit of -inf stays masked.
  [[nodiscard]] token_logits soft_capped(double cap) const {
    token_logits same = *this;
    same.map.cap = cap;
    return same;
  }
};
template <class Policy, class... Others>
token_logits(const Policy&, const Others&...) -> token_logits<typename Policy::value_type, typename Policy::memory_space>;

namespace detail {

/// `lowest_id` is -1 where a row may be a part of the vocabulary that does not hold its token.
template <class B, class L, class Space>
void check_logits(B& on, std::string_view function, const token_logits<L, Space>& batch, index_t lowest_id = 0,
                  const token_weights<Space>& weights = {}) {
  const auto& logits = batch.policy;
  const auto& base = batch.base;
  expects_groups(on, function, "logits", logits);
  expects_groups(on, function, "base", base);
  batch.tokens.visit([&](const auto& ids) { expects_span(function, "tokens", ids); });
  check_logit_map(function, batch.map);
  expects<shape_error>(batch.tokens.size() == logits.size(), function, "tokens has ", batch.tokens.size(),
                       " ids, but logits has ", logits.size(), " rows");
  expects<shape_error>(logits.empty() || logits.columns() >= 1, function, "logits has 0 columns, needs at least 1");
  expects<shape_error>(logits.columns() <= INT32_MAX, function, "logits has ", logits.columns(),
                       " columns, more than ids can name");
  expects<shape_error>(base.empty() || (base.size() == logits.size() && base.columns() == logits.columns()), function,
                       "base is ", base.size(), " x ", base.columns(), ", but logits is ", logits.size(), " x ",
                       logits.columns());
  expects_ids(on, function, "tokens", batch.tokens, lowest_id, logits.columns() - 1);
  check_kept(on, function, batch, weights);
  batch.thresholds.visit([&](const auto& lowest) {
    expects_span(function, "thresholds", lowest);
    expects<shape_error>(lowest.empty() || lowest.size() == logits.size(), function, "thresholds has ", lowest.size(),
                         " values, but there are ", logits.size(), " tokens");
    expects_each<is_nan_or_infinite>(on, function, "thresholds", lowest, "a number or -inf");
  });
}

/// A result of single tokens lies apart from what is read of the batch.
template <class T, class L, class Space>
INFALIGN_KEYED void check_apart_from_batch(std::string_view function, std::string_view name, const span<T, Space>& out,
                                           const token_logits<L, Space>& batch) {
  expects_apart(function, name, out, "logits", batch.policy);
  expects_apart(function, name, out, "base", batch.base);
  expects_apart(function, name, out, "tokens", batch.tokens);
  expects_apart(function, name, out, "kept.ids", batch.kept.ids);
  expects_apart(function, name, out, "kept.offsets", batch.kept.offsets);
  expects_apart(function, name, out, "thresholds", batch.thresholds);
}

/// The gradient of a row may replace the logits of either policy: the same view of the same memory.
template <class B, class G, class L, class Space>
void check_gradient(B& on, std::string_view function, const any_rows<G, Space>& gradient, const token_logits<L, Space>& batch) {
  const auto& logits = batch.policy;
  static_assert(!std::is_const_v<G>, "infalign: the rows of a gradient must not be const");
  expects_groups(on, function, "gradient", gradient);
  expects_rows_apart(on, function, "gradient", gradient);
  expects<shape_error>(gradient.size() == logits.size() && gradient.columns() == logits.columns(), function, "gradient is ",
                       gradient.size(), " x ", gradient.columns(), ", but logits is ", logits.size(), " x ", logits.columns());
  expects_apart_or_same_rows(function, "gradient", gradient, "logits", logits);
  expects_apart_or_same_rows(function, "gradient", gradient, "base", batch.base);
  expects_apart(function, "gradient", gradient, "tokens", batch.tokens);
  expects_apart(function, "gradient", gradient, "kept.ids", batch.kept.ids);
  expects_apart(function, "gradient", gradient, "kept.offsets", batch.kept.offsets);
  expects_apart(function, "gradient", gradient, "thresholds", batch.thresholds);
}

/// Calls `use` with the terms to be computed, as a type.
template <class Use>
INFALIGN_KEYED void with_terms(logit_terms terms, Use&& use) {
  if (terms.kl)
    terms.entropy ? use(row_terms<true, true>{}) : use(row_terms<true, false>{});
  else
    terms.entropy ? use(row_terms<false, true>{}) : use(row_terms<false, false>{});
}
/// The KL if there is a base, the entropy if it is wanted.
template <class Batch, class Use>
INFALIGN_KEYED void with_terms(const Batch& batch, bool entropy, Use&& use) {
  with_terms(logit_terms{!batch.base.empty(), entropy}, use);
}

/// About 8 element operations a logit and pass.
template <class Batch>
INFALIGN_KEYED index_t logits_cost(const Batch& batch) {
  return 8 * (batch.policy.total() + batch.base.total());
}

}  // namespace detail

}  // namespace infalign
