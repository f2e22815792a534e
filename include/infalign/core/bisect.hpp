// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/config.hpp"

namespace infalign {

/// The number of sorted values `< x`, or `<= x` if `Inclusive`. Branch-free bisection: about log₂(n) steps.
template <bool Inclusive, class T, class X>
INFALIGN_HD index_t count_sorted(const T* sorted, index_t n, X x) {
  const T* first = sorted;
  while (n > 0) {
    const index_t half = (n + 1) / 2;
    const auto middle = static_cast<X>(first[half - 1]);
    first += (Inclusive ? middle <= x : middle < x) ? half : 0;
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

/// The ranks of `sorted[j]` among the sorted values it belongs to. They follow from j; only where a neighbour is equal does a
/// bisection look for the end of the equal ones.
template <class T>
INFALIGN_HD value_ranks ranks_of_sorted(const T* sorted, index_t n, index_t j) {
  const T x = sorted[j];
  const bool first = j == 0 || sorted[j - 1] < x;
  const bool last = j + 1 == n || x < sorted[j + 1];
  return {first ? j : count_sorted<false>(sorted, j, x),
          last ? j + 1 : j + 1 + count_sorted<true>(sorted + j + 1, n - j - 1, x)};
}

}  // namespace infalign
