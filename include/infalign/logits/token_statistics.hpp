// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a pass over logits computes for every token: log-probability, exact KL to the base policy, entropy.
#pragma once

#include <string_view>

#include "infalign/logits/passes.hpp"

namespace infalign {

/// Where the statistics of T tokens go. An empty span is not written.
template <class T, class Space = host_memory>
struct token_statistics {
  using memory_space = Space;
  span<T, Space> loss{};      ///< policy loss, without the KL and entropy terms
  span<T, Space> log_prob{};  ///< `log π(token)`
  span<T, Space> kl{};        ///< `KL(π‖π₀)` over the whole vocabulary; 0 if there is no base
  span<T, Space> entropy{};   ///< entropy of `π` in nats

  /// Where those of tokens `begin … begin + n` go.
  [[nodiscard]] token_statistics part(index_t begin, index_t n) const {
    const auto some = [&](const span<T, Space>& values) {
      return values.empty() ? values : span<T, Space>(values.data() + begin, n);
    };
    return {some(loss), some(log_prob), some(kl), some(entropy)};
  }
};

namespace detail {

template <class T>
struct statistics_pointers {
  T* loss;
  T* log_prob;
  T* kl;
  T* entropy;

  INFALIGN_HD void store(index_t token, const row_statistics& row) const {
    if (log_prob != nullptr) log_prob[token] = static_cast<T>(row.log_prob());
    if (kl != nullptr) kl[token] = static_cast<T>(row.kl);
    if (entropy != nullptr) entropy[token] = static_cast<T>(row.entropy);
  }
  /// 0 in all of them.
  INFALIGN_HD void store_nothing(index_t token) const {
    for (T* const values : {loss, log_prob, kl, entropy})
      if (values != nullptr) values[token] = T(0);
  }
  INFALIGN_HD void store(index_t token, const row_statistics& row, double loss_value) const {
    if (loss != nullptr) loss[token] = static_cast<T>(loss_value);
    store(token, row);
  }
};

template <class T, class Space>
INFALIGN_KEYED statistics_pointers<T> pointers(const token_statistics<T, Space>& s) {
  return {s.loss.data(), s.log_prob.data(), s.kl.data(), s.entropy.data()};
}

/// `each(name, span)` for the statistics that are wanted.
template <class T, class Space, class Each>
INFALIGN_KEYED void for_each_wanted(const token_statistics<T, Space>& statistics, const Each& each) {
  const auto one = [&](std::string_view name, const span<T, Space>& values) {
    if (!values.empty()) each(name, values);
  };
  one("statistics.loss", statistics.loss);
  one("statistics.log_prob", statistics.log_prob);
  one("statistics.kl", statistics.kl);
  one("statistics.entropy", statistics.entropy);
}

/// One value a token, apart from everything else.
template <class L, class T, class Space>
INFALIGN_KEYED void check_statistics(std::string_view function, const token_statistics<T, Space>& statistics,
                                     const token_logits<L, Space>& batch) {
  for_each_wanted(statistics, [&](std::string_view name, const span<T, Space>& values) {
    check_count(function, name, values, batch.tokens.size());
    check_apart_from_batch(function, name, values, batch);
    for_each_wanted(statistics, [&](std::string_view other_name, const span<T, Space>& other) {
      if (name < other_name) expects_apart(function, name, values, other_name, other);
    });
  });
}

/// The statistics of each token. `rows_out`, where not null, keeps what a second pass needs.
template <class Terms, class L, class T, class Space>
struct statistics_kernel {
  row_batch<L, Space> batch;
  statistics_pointers<T> out;
  row_statistics* rows_out = nullptr;
  token_weights<Space> weights{};
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    if (batch.tokens.ignores(t) || weights[t] == 0) {
      return team.once([&] {
        out.store_nothing(t);
        if (rows_out != nullptr) rows_out[t] = row_statistics{};
      });
    }
    kept_exponentials<compute_t<L>> none;
    const auto row = statistics_of(read_row<Terms>(team, batch.policy[t].data(), batch.base_row(t), batch.policy[t].size(),
                                                   batch.column(t), none, batch.map_of(t)),
                                   Terms::value);
    team.once([&] {
      out.store(t, row);
      if (rows_out != nullptr) rows_out[t] = row;
    });
  }
};

}  // namespace detail

/// Log-probability of each token, exact KL to the base policy and entropy, from one pass over the logits.
///
/// - Shapes: `batch` T×V logits, each non-empty span of `statistics` T values (`loss` is left alone).
/// - `log_prob = l_a - logsumexp(l)`; `kl = Σ_j p_j·(log p_j - log q_j)`; `entropy = -Σ_j p_j log p_j`, in nats.
/// - A logit of -inf is a masked token: its probability is 0. `kl` is +inf where the policy has mass and the base none. NaN
///   logits give NaN for their row alone; they are not searched for.
/// - A token whose id is left out (`token_ids::ignoring`) is not read, and all of its statistics are 0.
/// - `kl` and `entropy` are never negative: rounding below 0 is cut off.
/// - Errors of `row_statistics`, before they are rounded to `T` (tests/logits/accuracy_test.cpp fails beyond them). `ε` is the
///   rounding of the lanes, `n` how many values a lane sums in a chunk, and `s = (2·√n + 16)·ε`:
///
///   | lanes                          | `ε`  | `n`                         | `s`           |
///   |--------------------------------|------|-----------------------------|---------------|
///   | simd, `float` or 16-bit logits | 2⁻²⁴ | 256 (AVX-512) … 1024 (SSE2) | 3e-6 … 5e-6   |
///   | simd, `double`                 | 2⁻⁵³ | 256 … 1024                  | 5e-15 … 9e-15 |
///   | scalar, any logits             | 2⁻⁵³ | 4096                        | 2e-14         |
///
///   - `log_prob`: absolute, `s + 2⁻⁵²·|log_prob|`. `entropy`: relative, `s`, also next to 0 (down to 1e-20).
///   - `kl`: `8·s·kl + 8·2⁻⁵³·√kl + 1e-12·ε`. At 1e-6 nats that is relatively 4e-5 for `float` lanes, 1e-12 for `double` ones.
///   - `kl`, where the largest logits of the two rows are more than 8 apart: `8·ε·√kl` more, at 1e-6 nats relatively 5e-4 and 1e-12.
///
///   Where many logits are equal, roundings have one direction: then `s = (n + 32)·ε`, and the first term of `kl` is `32·s·kl`.
///   `cuda`, whose lanes are of the type of the logits and use CUDA's exponential, has `n = 16384/lanes`; it is not measured.
/// - Cost: each logit read once from memory (in chunks that stay in cache, so that maximum and sum need no second pass).
template <backend B, class L, class T, class Space>
  requires reachable_from<B, token_logits<L, Space>>
void compute_token_statistics(B&& on, const token_logits<L, Space>& batch, const token_statistics<T, Space>& statistics) {
  constexpr std::string_view function = "compute_token_statistics";
  detail::check_logits(on, function, batch);
  detail::check_statistics(function, statistics, batch);
  detail::with_kept_rows(on, batch, token_weights<Space>(), [&](const detail::row_batch<L, Space>& rows_read) {
    detail::with_terms(rows_read, !statistics.entropy.empty(), [&](auto terms) {
      on.groups(batch.policy.size(), detail::logits_cost(rows_read),
                detail::statistics_kernel<decltype(terms), L, T, Space>{rows_read, detail::pointers(statistics)});
    });
  });
}

}  // namespace infalign
