// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/config.hpp"

namespace infalign {

/// The number of sorted values `< x`, or `<= x` if `Inclusive`. Bisection in about log₂(n) steps, without a branch that depends on x:
/// by a mask, as compilers make a branch of a choice, which takes three times as long.
template <bool Inclusive, class T, class X>
INFALIGN_HD index_t count_sorted(const T* sorted, index_t n, X x) {
  const T* first = sorted;
  while (n > 0) {
    const index_t half = (n + 1) / 2;
    const auto middle = static_cast<X>(first[half - 1]);
    first += half & -static_cast<index_t>(Inclusive ? middle <= x : middle < x);
    n = n - half;
  }
  return first - sorted;
}

/// How many of a group are below a value, and how many at or below it.
struct value_ranks {
  index_t below;
  index_t at_or_below;
};

/// The ranks of `x` among sorted values: one bisection, and a second one only where a value equals `x`.
template <class T, class X>
INFALIGN_HD value_ranks ranks_among_sorted(const T* sorted, index_t n, X x) {
  const index_t below = count_sorted<false>(sorted, n, x);
  if (below == n || x < static_cast<X>(sorted[below])) return {below, below};
  return {below, below + count_sorted<true>(sorted + below, n - below, x)};
}

}  // namespace infalign
