// SPDX-License-Identifier: Apache-2.0
/// \file
/// Batches of tokens for the tests of the objectives.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "infalign/core/weights.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

namespace infalign::test {

/// The relative accuracy asked of gradients and statistics: 1e-7 against finite differences in double, 1e-5 in float.
template <class T>
inline constexpr double accuracy = std::is_same_v<T, float> ? 1e-5 : 1e-7;

/// Equal up to `accuracy`, relative to the largest expected value. A NaN in either equals nothing.
template <class T>
bool close(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  T largest(0);
  for (const T x : b) largest = std::max(largest, std::abs(x));
  for (std::size_t i = 0; i < b.size(); ++i)
    if (!(static_cast<double>(std::abs(a[i] - b[i])) <= accuracy<T> * static_cast<double>(largest))) return false;
  return true;
}

/// Every term, and a scale.
inline const objective_weights all_weights{kl_weight(0.3), entropy_weight(0.05), 0.5};

template <class T>
inline constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

template <class C>
using logits_of = token_logits<typename C::value, typename C::backend::memory_space>;
template <class C>
using statistics_of = token_statistics<typename C::value, typename C::backend::memory_space>;

/// Vocabulary sizes around the register widths.
inline std::vector<index_t> small_vocabularies() {
  std::vector<index_t> sizes;
  for (index_t v = 1; v <= 2 * widest + 1; ++v) sizes.push_back(v);
  return sizes;
}

/// Vocabulary sizes around the boundaries of the chunks that a row is read in.
template <class C>
std::vector<index_t> large_vocabularies() {
  constexpr index_t chunk = C::backend::team_type::template chunk<typename C::value>();
  return {chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 3 * chunk + 1};
}

/// T×V logits of policy and base, with tokens and advantages.
template <class C>
struct token_batch {
  using T = typename C::value;

  index_t tokens;
  index_t columns;
  std::vector<T> logits;
  std::vector<T> base;
  std::vector<std::int32_t> ids;
  std::vector<T> advantages;

  token_batch(index_t n_tokens, index_t n_columns, std::uint64_t seed = 1, double spread = 2)
      : tokens(n_tokens),
        columns(n_columns),
        logits(normal_values<T>(n_tokens * n_columns, seed)),
        base(normal_values<T>(n_tokens * n_columns, seed + 1)),
        advantages(normal_values<T>(n_tokens, seed + 2)) {
    std::mt19937_64 generator(seed + 3);
    for (T& l : logits) l *= static_cast<T>(spread);
    for (T& l : base) l *= static_cast<T>(spread);
    for (index_t t = 0; t < n_tokens; ++t)
      ids.push_back(std::uniform_int_distribution<std::int32_t>(0, static_cast<std::int32_t>(n_columns - 1))(generator));
  }
  [[nodiscard]] T* row(index_t t) { return logits.data() + t * columns; }
  [[nodiscard]] T* base_row(index_t t) { return base.data() + t * columns; }
};

/// A batch in the backend's memory, room for results, and the views of both.
template <class C>
struct loaded_batch {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  template <class U>
  using array = typename C::template array<U>;

  index_t tokens;
  index_t columns;
  array<T> policy_values;
  array<T> base_values;
  array<std::int32_t> ids;
  array<T> advantages;
  array<T> gradient_values;
  array<T> loss;
  array<T> log_prob;
  array<T> kl;
  array<T> entropy;

  explicit loaded_batch(const token_batch<C>& from)
      : tokens(from.tokens),
        columns(from.columns),
        policy_values(from.logits),
        base_values(from.base),
        ids(from.ids),
        advantages(from.advantages),
        gradient_values(tokens * columns, T(-99)),
        loss(tokens, T(-99)),
        log_prob(tokens, T(-99)),
        kl(tokens, T(-99)),
        entropy(tokens, T(-99)) {}

  logits_of<C> with_base() { return {policy_values.rows(tokens, columns), base_values.rows(tokens, columns), ids.span()}; }
  logits_of<C> without_base() { return {policy_values.rows(tokens, columns), {}, ids.span()}; }
  statistics_of<C> statistics() { return {loss.span(), log_prob.span(), kl.span(), entropy.span()}; }
  rows<T, space> gradient() { return gradient_values.rows(tokens, columns); }
  rows<T, space> gradient_over_logits() { return policy_values.rows(tokens, columns); }
};

}  // namespace infalign::test
