// SPDX-License-Identifier: Apache-2.0
/// \file
/// Calibration by its definition: every reward beside every reference of its prompt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "infalign/calibration/rank_algorithm.hpp"
#include "infalign/calibration/tie_rule.hpp"
#include "infalign/core/rng.hpp"

namespace infalign::test {

/// Prompts as lists of rewards.
template <class T>
using prompts = std::vector<std::vector<T>>;

inline const tie_rule all_tie_rules[] = {tie_rule::mid_rank(), tie_rule::below(), tie_rule::at_or_below(),
                                         tie_rule::randomized(42)};
inline constexpr rank_algorithm all_rank_algorithms[] = {rank_algorithm::automatic, rank_algorithm::counting,
                                                         rank_algorithm::sorting};

inline double tie_share(const tie_rule& ties, index_t position) {
  switch (ties.rule) {
    case tie_rule::kind::mid_rank: return 0.5;
    case tie_rule::kind::below: return 0;
    case tie_rule::kind::at_or_below: return 1;
    case tie_rule::kind::randomized:
      return (philox4x32(ties.first + static_cast<std::uint64_t>(position), 0, ties.seed).word[0] + 0.5) / 4294967296.0;
  }
  return -1;
}

/// `(Σ_{z<y} w + v·Σ_{z=y} w) / Σ w` for each reward, prompt after prompt, without reference `i` for reward `i` where one is left
/// out. Sums in long double: exact for whole numbers, so that the quotient, rounded once to double, is the exact result's.
template <class T, class W>
std::vector<double> calibrated(const prompts<T>& references, const prompts<W>& weights, const prompts<T>& rewards,
                               const tie_rule& ties, bool leave_one_out) {
  std::vector<double> result;
  for (std::size_t p = 0; p < rewards.size(); ++p)
    for (std::size_t j = 0; j < rewards[p].size(); ++j) {
      const long double share = tie_share(ties, static_cast<index_t>(result.size()));
      long double sum = 0, total = 0;
      for (std::size_t k = 0; k < references[p].size(); ++k) {
        if (leave_one_out && k == j) continue;
        const T z = references[p][k];
        const T y = rewards[p][j];
        total += weights[p][k];
        sum += z < y ? static_cast<long double>(weights[p][k]) : z == y ? share * weights[p][k] : 0.0L;
      }
      result.push_back(static_cast<double>(sum) / static_cast<double>(total));
    }
  return result;
}

template <class T>
prompts<T> ones_like(const prompts<T>& shape) {
  prompts<T> ones;
  for (const auto& p : shape) ones.emplace_back(p.size(), T(1));
  return ones;
}

template <class T>
std::vector<double> calibrated(const prompts<T>& references, const prompts<T>& rewards, const tie_rule& ties = {}) {
  return calibrated(references, ones_like(references), rewards, ties, false);
}
template <class T>
std::vector<double> calibrated_leave_one_out(const prompts<T>& rewards, const tie_rule& ties = {}) {
  return calibrated(rewards, ones_like(rewards), rewards, ties, true);
}

/// All values, prompt after prompt.
template <class T>
std::vector<T> packed(const prompts<T>& groups) {
  std::vector<T> values;
  for (const auto& p : groups) values.insert(values.end(), p.begin(), p.end());
  return values;
}

template <class T>
std::vector<index_t> sizes_of(const prompts<T>& groups) {
  std::vector<index_t> sizes;
  for (const auto& p : groups) sizes.push_back(static_cast<index_t>(p.size()));
  return sizes;
}

template <class Out>
std::vector<Out> rounded(const std::vector<double>& values) {
  std::vector<Out> result;
  for (const double v : values) result.push_back(static_cast<Out>(v));
  return result;
}

}  // namespace infalign::test
