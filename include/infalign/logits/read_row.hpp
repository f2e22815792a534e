// SPDX-License-Identifier: Apache-2.0
/// \file
/// The first pass over one row of logits, for a team: from logits to the state of the row.
#pragma once

#include <cmath>
#include <concepts>

#include "infalign/core/math.hpp"
#include "infalign/logits/row_state.hpp"
#include "infalign/logits/tuning.hpp"

namespace infalign {

/// Exponentials of a row that the first pass leaves for the second: `values[j] = exp(l_j - origin)`, or null for none.
template <class T>
struct kept_exponentials {
  T* values = nullptr;
  double origin = 0;
};

/// Room for the exponentials in the row of the gradient, or null. There is room if three things hold: the type of the gradient
/// holds them unrounded, the team prefers reading them back to computing them again, and the logits do not lie there
/// themselves.
template <class Team, class L, class G>
INFALIGN_HD kept_exponentials<compute_t<L>> room_for_exponentials(const L* row, G* gradient) {
  if constexpr (keeps_exponentials<Team> && std::same_as<G, compute_t<L>>)
    if (static_cast<const void*>(row) != gradient) return {gradient};
  return {};
}

namespace detail {

template <class T, class Team, class L>
INFALIGN_HD double chunk_maximum(Team& team, const L* values, index_t n) {
  using V = typename Team::template vec<T>;
  V top[4] = {V(-infinity<T>), V(-infinity<T>), V(-infinity<T>), V(-infinity<T>)};
  team.template loop<T, 4>(n, [&](auto at, auto k) { top[k] = max(top[k], at.load(values, -infinity<T>)); });
  return team.maximum(max(max(top[0], top[1]), max(top[2], top[3])));
}

/// What one chunk adds to the sums of a row, and its largest logits.
struct chunk_sums {
  double top = 0;
  double base_top = 0;
  double sum = 0;
  double base_sum = 0;
  double weighted_logit = 0;
  double weighted_ratio = 0;
};

/// One pass over a chunk. Where e^d is 0 (a masked logit, or one far below the maximum) nothing is added, since 0·(-inf) would
/// be NaN. If `keep` is not null, it receives e^d.
template <class Terms, class T, class Team, class L>
INFALIGN_HOT INFALIGN_HD chunk_sums sum_chunk(Team& team, const L* row, const L* base, index_t n, double origin,
                                              double base_origin, T* keep) {
  using V = typename Team::template vec<T>;
  using std::exp;
  const V zero = constant<V>(origin);
  [[maybe_unused]] const V base_zero = constant<V>(base_origin);
  V top(-infinity<T>), base_top(-infinity<T>), sum(0), base_sum(0), logit(0), ratio(0);
  team.template loop<T>(n, [&](auto at, auto) {
    const V l = at.load(row, -infinity<T>);
    const V d = l - zero;
    const V e = exp(d);
    [[maybe_unused]] const auto present = e > V(0);
    top = max(top, l);
    sum = sum + e;
    if (keep != nullptr) at.store(keep, e);
    if constexpr (Terms::entropy) logit = at.add_where(logit, present, e * d);
    if constexpr (Terms::kl) {
      const V b = at.load(base, -infinity<T>);
      const V c = b - base_zero;
      base_top = max(base_top, b);
      base_sum = base_sum + V(exp(c));
      ratio = at.add_where(ratio, present, e * (d - c));
    }
  });
  chunk_sums s;
  s.top = team.maximum(top);
  s.sum = team.sum(sum);
  if constexpr (Terms::entropy) s.weighted_logit = team.sum(logit);
  if constexpr (Terms::kl) {
    s.base_top = team.maximum(base_top);
    s.base_sum = team.sum(base_sum);
    s.weighted_ratio = team.sum(ratio);
  }
  return s;
}

}  // namespace detail

/// Reads `columns` of a row in one pass, and with `Terms::kl` those of the base policy's row. Each logit comes from memory
/// once. `token` is the position of the sampled token among them, or -1 if it is elsewhere. If `kept.values` is not null, it
/// receives `exp(l_j - kept.origin)`; it becomes null if that was not possible.
///
/// The shift is the maximum of the first chunk. A chunk that reaches far above it, which is rare, raises the shift and is
/// summed again. Sums are taken in the lanes over a chunk, and in `double` across chunks. -inf is a masked column; NaN gives
/// NaN.
template <class Terms, class Team, class L>
INFALIGN_NOINLINE INFALIGN_HD row_state read_row(Team& team, const L* row, const L* base, index_t columns, index_t token,
                                                 kept_exponentials<compute_t<L>>& kept) {
  using T = compute_t<L>;
  constexpr index_t chunk = Team::template chunk<T>();
  row_state state;
  const index_t head = columns < chunk ? columns : chunk;
  state.raise_to(detail::chunk_maximum<T>(team, row, head), Terms::kl ? detail::chunk_maximum<T>(team, base, head) : 0);
  for (index_t begin = 0; begin < columns; begin += chunk) {
    const auto sum = [&] {
      const index_t n = columns - begin < chunk ? columns - begin : chunk;
      return detail::sum_chunk<Terms, T>(team, row + begin, Terms::kl ? base + begin : nullptr, n, state.policy.origin(),
                                         state.base.origin(), kept.values != nullptr ? kept.values + begin : nullptr);
    };
    detail::chunk_sums s = sum();
    if (state.policy.is_far_below(s.top) || (Terms::kl && state.base.is_far_below(s.base_top))) {
      if (state.policy.sum > 0) kept.values = nullptr;  // what was kept is measured from the old shift
      state.raise_to(s.top, s.base_top);
      s = sum();
    }
    state.policy.sum += s.sum;
    state.base.sum += s.base_sum;
    state.weighted_logit += s.weighted_logit;
    state.weighted_ratio += s.weighted_ratio;
  }
  kept.origin = state.policy.origin();
  if (token >= 0) {
    state.token_logit = static_cast<double>(static_cast<compute_t<L>>(row[token]));
    if constexpr (Terms::kl) state.token_base_logit = static_cast<double>(static_cast<compute_t<L>>(base[token]));
  }
  return state;
}

}  // namespace infalign
