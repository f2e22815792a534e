// SPDX-License-Identifier: Apache-2.0
/// \file
/// p-values of many comparisons at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// p-values adjusted for their number by Holm's method: rejecting those of at most α rejects a true hypothesis with a probability of at
/// most α, whatever the dependence of the tests. The smallest of n is multiplied by n, the next by n - 1 …; none is less than the one
/// before it, and none more than 1. For 0.01, 0.04, 0.03 they are 0.03, 0.06, 0.06. In the order of `p_values`.
///
/// Cost: n·log n. Errors: `domain_error` for a p-value outside [0, 1] or NaN.
/// Source: Holm, Scandinavian Journal of Statistics 6 (1979).
INFALIGN_KEYED inline std::vector<double> holm_adjusted(span<const double> p_values) {
  for (index_t i = 0; i < p_values.size(); ++i)
    expects<domain_error>(p_values[i] >= 0 && p_values[i] <= 1, "holm_adjusted", "p_values[", i, "] is ", p_values[i],
                          ", must be in [0, 1]");
  const auto n = static_cast<std::size_t>(p_values.size());
  std::vector<index_t> order(n);
  std::iota(order.begin(), order.end(), index_t{0});
  std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(n);
  double least = 0;
  for (std::size_t k = 0; k < n; ++k) {
    least = std::max(least, std::min(1.0, static_cast<double>(n - k) * p_values[order[k]]));
    adjusted[static_cast<std::size_t>(order[k])] = least;
  }
  return adjusted;
}

}  // namespace infalign
