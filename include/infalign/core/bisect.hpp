// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/config.hpp"

namespace infalign {

/// Number of sorted values below `x`, or not above it: branch-free bisection.
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

}  // namespace infalign
