// SPDX-License-Identifier: Apache-2.0
/// \file
/// The inference-time win rate by its definition: over all pairs of N-subsets, serve and compare.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"

namespace infalign::test {

template <class T>
T serve(const best_of&, const std::vector<T>& subset) {
  return *std::max_element(subset.begin(), subset.end());
}
template <class T>
T serve(const worst_of&, const std::vector<T>& subset) {
  return *std::min_element(subset.begin(), subset.end());
}
template <class T>
T serve(const standard&, const std::vector<T>& subset) {
  return subset.front();
}

inline int drawn(const best_of& procedure) {
  return static_cast<int>(procedure.n);
}
inline int drawn(const worst_of& procedure) {
  return static_cast<int>(procedure.n);
}
inline int drawn(const standard&) {
  return 1;
}

/// What the procedure serves from each subset of its size.
template <class T, class Procedure>
std::vector<T> served_by_subsets(const std::vector<T>& samples, const Procedure& procedure) {
  std::vector<T> served;
  for (unsigned mask = 0; mask < (1u << samples.size()); ++mask) {
    if (std::popcount(mask) != drawn(procedure)) continue;
    std::vector<T> subset;
    for (std::size_t i = 0; i < samples.size(); ++i)
      if (mask >> i & 1u) subset.push_back(samples[i]);
    served.push_back(serve(procedure, subset));
  }
  return served;
}

template <class T, class Procedure, class BaseProcedure>
double win_rate_by_subsets(const std::vector<T>& policy, const std::vector<T>& base, const Procedure& procedure,
                           const BaseProcedure& base_procedure) {
  const auto y = served_by_subsets(policy, procedure);
  const auto z = served_by_subsets(base, base_procedure);
  long long twice_wins = 0;
  for (const T a : y)
    for (const T b : z) twice_wins += a > b ? 2 : a == b ? 1 : 0;
  return static_cast<double>(twice_wins) / (2.0 * static_cast<double>(y.size()) * static_cast<double>(z.size()));
}

}  // namespace infalign::test
