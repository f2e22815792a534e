// SPDX-License-Identifier: Apache-2.0
/// \file
/// The first pass over one row of logits, for a team: from logits to the state of the row.
#pragma once

#include <cmath>
#include <concepts>

#include "infalign/core/math.hpp"
#include "infalign/logits/detail/chunk_sums.hpp"
#include "infalign/logits/row_state.hpp"
#include "infalign/logits/row_statistics.hpp"
#include "infalign/logits/tuning.hpp"

namespace infalign {

/// Exponentials of a row that the first pass leaves for the second: `values[j] = exp(l_j - origin)`, or null for none.
template <class T>
struct kept_exponentials {
  T* values = nullptr;
  double origin = 0;
};

/// Where the exponentials of a row are kept: in the row of the gradient, if its type holds them unrounded and no logits lie there;
/// otherwise in `room`, for which null means that they are not kept.
template <class Team, class L, class G>
INFALIGN_HD kept_exponentials<compute_t<L>> place_for_exponentials(const L* row, const L* base, G* gradient,
                                                                   compute_t<L>* room) {
  if constexpr (keeps_exponentials<Team> && std::same_as<G, compute_t<L>>) {
    const void* const target = gradient;
    if (target != row && target != base) return {gradient};
  }
  return {room};
}

namespace detail {

/// Adds what a chunk was found to add, with the shifts and the centre of `state`.
INFALIGN_HD inline void add_chunk(row_state& state, const chunk_sums& s) {
  state.policy.sum += s.sum;
  state.base.sum += s.base_sum;
  state.entropy.add(s.entropy, state.policy.origin(), state.scale);
  state.weighted_ratio += s.weighted_ratio;
  state.divergence += s.divergence;
}

/// The mean of `x` so far, if it is so large next to the KL that the KL would be a small difference of large numbers; else 0.
INFALIGN_HD inline double excess_of_ratio(const row_state& state) {
  row_statistics s{};
  finish_kl(state, s);
  const double mean = state.weighted_ratio / state.policy.sum;
  return mean * mean > 16 * s.kl && mean * mean > 1e-12 ? mean : 0;
}

template <class Terms, class Team, class L>
INFALIGN_NOINLINE INFALIGN_HD row_state read_row_as(Team& team, const L* row, const L* base, index_t columns, index_t token,
                                                    kept_exponentials<compute_t<L>>& kept, const logit_map& map) {
  using T = compute_t<L>;
  constexpr index_t chunk = Team::template chunk<T>();
  row_state state;
  state.scale = map.scale;
  const auto raise = [&](double top, double base_top) {
    if (Terms::kl && !state.has_mass()) {
      shifted_sum policy = state.policy, of_base = state.base;
      policy.raise_to(top, state.scale);
      of_base.raise_to(base_top, state.scale);
      // More often than not, the largest logits of both are the same token's.
      state.centre = policy.origin() - of_base.origin();
    }
    state.raise_to(top, base_top);
  };
  const index_t head = columns < chunk ? columns : chunk;
  raise(chunk_maximum<Terms, T>(team, row, row, head, map),
        Terms::kl ? chunk_maximum<Terms, T>(team, base, row, head, map) : 0);
  for (index_t begin = 0; begin < columns; begin += chunk) {
    const auto sum = [&] {
      const index_t n = columns - begin < chunk ? columns - begin : chunk;
      return sum_chunk<Terms, T>(team, row + begin, Terms::kl ? base + begin : nullptr, n, state, map,
                                 kept.values != nullptr ? kept.values + begin : nullptr);
    };
    chunk_sums s = sum();
    const bool rises = state.policy.is_far_below(s.top, state.scale);
    const bool base_rises = Terms::kl && state.base.is_far_below(s.base_top, state.scale);
    if (rises || base_rises) {
      if (rises && state.policy.sum > 0) kept.values = nullptr;  // what was kept is measured from the old shift
      raise(rises ? s.top : state.policy.shift, base_rises ? s.base_top : state.base.shift);
      s = sum();
    }
    row_state next = state;
    add_chunk(next, s);
    if (const double excess = Terms::kl ? excess_of_ratio(next) : 0; excess != 0) {
      state.recentre(state.centre - excess / state.scale);
      next = state;
      add_chunk(next, sum());
    }
    state = next;
  }
  kept.origin = state.policy.origin();
  if (token >= 0) {
    // By the lanes, as the sums are: else a capped logit of a near-certain token could differ from the largest, and log π exceed 0.
    const auto logit = [&](const L* of) {
      if constexpr (Terms::mapped)
        return chunk_maximum<Terms, T>(team, of + token, row + token, 1, map);
      else
        return static_cast<double>(static_cast<T>(of[token]));
    };
    state.token_logit = logit(row);
    if constexpr (Terms::kl) state.token_base_logit = logit(base);
  }
  return state;
}

}  // namespace detail

/// Reads `columns` of a row in one pass, and with `Terms::kl` those of the base policy's row. Each logit comes from memory
/// once. `token` is the position of the sampled token among them, or -1 if it is elsewhere. If `kept.values` is not null, it
/// receives `exp(l_j - kept.origin)`; it becomes null if that was not possible.
///
/// The shift is the maximum of the first chunk. A chunk that reaches far above it, which is rare, raises the shift and is
/// summed again. So is one that shows that the centre of the log-ratios lies off (see `row_state`). Sums are taken in the lanes
/// over a chunk, and in `double` across chunks. -inf is a masked column; NaN and +inf give NaN.
/// With a soft cap, `logit` stands for the capped logit wherever a state or statistics name one.
template <class Terms, class Team, class L>
INFALIGN_HD row_state read_row(Team& team, const L* row, const L* base, index_t columns, index_t token,
                               kept_exponentials<compute_t<L>>& kept, const logit_map& map = {}) {
  if (map.is_identity()) return detail::read_row_as<Terms>(team, row, base, columns, token, kept, map);
  return detail::read_row_as<mapped_terms<Terms>>(team, row, base, columns, token, kept, map);
}

}  // namespace infalign
