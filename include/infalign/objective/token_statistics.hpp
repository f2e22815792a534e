// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a pass over logits tells of every token: log-probability, exact KL to the base policy, entropy.
#pragma once

#include <cstdint>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/objective/detail/logits_row.hpp"

namespace infalign {

/// Where the statistics of T tokens go. An empty span is not written.
template <class T, class Space = host_memory>
struct token_statistics {
  using memory_space = Space;
  span<T, Space> loss;      ///< policy loss, without the KL and entropy terms
  span<T, Space> log_prob;  ///< `log π(token)`
  span<T, Space> kl;        ///< `KL(π‖π₀)` over the whole vocabulary; 0 if there is no base
  span<T, Space> entropy;   ///< entropy of `π` in nats
};

/// The logits of T tokens and the ids that were sampled.
template <class L, class Space = host_memory>
struct token_logits {
  using logit_type = L;
  using memory_space = Space;
  rows<const L, Space> policy;             ///< T×V logits of the policy; rows may be strided
  rows<const L, Space> base;               ///< T×V logits of the base policy, or empty: no base
  span<const std::int32_t, Space> tokens;  ///< T ids in [0, V)

  /// The base policy's logits of token `t`, or null.
  INFALIGN_HD const L* base_row(index_t t) const { return base.empty() ? nullptr : base[t].data(); }
};

namespace detail {

template <class T>
struct statistics_pointers {
  T* loss;
  T* log_prob;
  T* kl;
  T* entropy;

  template <class Loss>
  INFALIGN_HD void store(index_t token, const row_statistics& row, const Loss& policy_loss, double advantage) const {
    if (loss != nullptr) loss[token] = static_cast<T>(policy_loss.loss(row.log_prob(), advantage, token));
    if (log_prob != nullptr) log_prob[token] = static_cast<T>(row.log_prob());
    if (kl != nullptr) kl[token] = static_cast<T>(row.kl);
    if (entropy != nullptr) entropy[token] = static_cast<T>(row.entropy);
  }
};

template <class T, class Space>
statistics_pointers<T> pointers(const token_statistics<T, Space>& s) {
  return {s.loss.data(), s.log_prob.data(), s.kl.data(), s.entropy.data()};
}

template <class T, class Space>
void check_statistics(std::string_view function, const token_statistics<T, Space>& statistics, index_t tokens) {
  const auto check = [&](std::string_view name, index_t size) {
    expects<shape_error>(size == 0 || size == tokens, function, "statistics.", name, " has ", size, " values, but there are ",
                         tokens, " tokens");
  };
  check("loss", statistics.loss.size());
  check("log_prob", statistics.log_prob.size());
  check("kl", statistics.kl.size());
  check("entropy", statistics.entropy.size());
}

template <class B, class L, class Space>
void check_logits(B& on, std::string_view function, const token_logits<L, Space>& batch) {
  const auto& logits = batch.policy;
  const auto& base = batch.base;
  expects_groups(on, function, "logits", logits);
  expects_groups(on, function, "base", base);
  expects<shape_error>(batch.tokens.size() == logits.size(), function, "tokens has ", batch.tokens.size(),
                       " ids, but logits has ", logits.size(), " rows");
  expects<shape_error>(logits.empty() || logits.columns() >= 1, function, "logits has 0 columns, needs at least 1");
  expects<shape_error>(logits.columns() <= INT32_MAX, function, "logits has ", logits.columns(),
                       " columns, more than ids can name");
  expects<shape_error>(base.empty() || (base.size() == logits.size() && base.columns() == logits.columns()), function,
                       "base is ", base.size(), " x ", base.columns(), ", but logits is ", logits.size(), " x ",
                       logits.columns());
  expects_range(on, function, "tokens", batch.tokens, 0, static_cast<std::int32_t>(logits.columns() - 1));
}

/// Statistics of one token a team; `rows_out`, where wanted, keeps what a later gradient needs.
template <class Terms, class L, class T, class Space>
struct statistics_kernel {
  token_logits<L, Space> batch;
  statistics_pointers<T> out;
  row_statistics* rows_out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    kept_exponentials<compute_t<L>> none;
    const auto row =
        read_row<Terms>(team, batch.policy[t].data(), batch.base_row(t), batch.policy.columns(), batch.tokens[t], none);
    team.once([&] {
      out.store(t, row, no_policy_loss{}, 0.0);
      if (rows_out != nullptr) rows_out[t] = row;
    });
  }
};

/// Calls `use` with the terms to be computed, as a type: the KL if there is a base, the entropy if it is wanted.
template <class L, class Space, class Use>
void with_terms(const token_logits<L, Space>& batch, bool entropy, Use&& use) {
  if (batch.base.empty())
    entropy ? use(row_terms<false, true>{}) : use(row_terms<false, false>{});
  else
    entropy ? use(row_terms<true, true>{}) : use(row_terms<true, false>{});
}

/// About 8 element operations a logit and pass.
template <class L, class Space>
index_t logits_cost(const token_logits<L, Space>& batch) {
  return 8 * (batch.policy.total() + batch.base.total());
}

template <class B, class L, class T, class Space>
void run_statistics(B& on, const token_logits<L, Space>& batch, const token_statistics<T, Space>& statistics,
                    bool wants_entropy, row_statistics* rows_out) {
  auto out = pointers(statistics);
  out.loss = nullptr;
  with_terms(batch, wants_entropy, [&](auto terms) {
    on.groups(batch.policy.size(), logits_cost(batch), statistics_kernel<decltype(terms), L, T, Space>{batch, out, rows_out});
  });
}

}  // namespace detail

/// Log-probability of each token, exact KL to the base policy and entropy, from logits: one pass.
///
/// - Shapes: `batch` T×V logits, each non-empty span of `statistics` T values (`loss` is left alone).
/// - `log_prob = l_a - logsumexp(l)`; `kl = Σ_j p_j·(log p_j - log q_j)`; `entropy = -Σ_j p_j log p_j`, in nats.
/// - A logit of -inf is a masked token: probability 0. `kl` is +inf where the policy has mass and the base none. NaN logits
///   give NaN for their row alone; logits are not searched for it.
/// - `kl` and `entropy` are never negative: rounding below 0 is cut off.
/// - Cost: each logit read once from memory (in chunks that stay in cache, so that maximum and sum need no second pass).
template <backend B, class L, class T, class Space>
  requires reachable_from<B, token_logits<L, Space>>
void compute_token_statistics(B&& on, const token_logits<L, Space>& batch, const token_statistics<T, Space>& statistics) {
  constexpr std::string_view function = "compute_token_statistics";
  detail::check_logits(on, function, batch);
  detail::check_statistics(function, statistics, batch.tokens.size());
  detail::run_statistics(on, batch, statistics, !statistics.entropy.empty(), nullptr);
}

}  // namespace infalign
