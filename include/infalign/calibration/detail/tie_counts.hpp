// SPDX-License-Identifier: Apache-2.0
/// \file
/// The tie rules as counting formulas. Each has three members:
/// - `add` counts a reference, or a batch of references, of a prompt;
/// - `from_ranks` gives the same counts from two ranks;
/// - `value` gives the calibrated reward from the counts.
///
/// `self` is the weight of the scored reward among its own references: its weight when it is left out, else 0. Counts are whole
/// numbers held exactly in `double`, so `value` rounds once and does not depend on the algorithm that counted.
#pragma once

#include <cmath>
#include <concepts>
#include <utility>

#include "infalign/calibration/tie_rule.hpp"
#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/rng.hpp"

namespace infalign::detail {

/// The weight of a reference that counts one.
struct unit_weight {};

template <class At, class V, class Mask>
INFALIGN_HD V add_weight(At at, V count, Mask where, unit_weight) {
  return at.count_where(count, where);
}
template <class At, class V, class Mask>
INFALIGN_HD V add_weight(At at, V sum, Mask where, V weight) {
  return at.add_where(sum, where, weight);
}

/// Twice the mid-rank: every reference below counts 2, an equal one 1.
struct mid_rank_count {
  static constexpr int components = 1;
  template <class At, class V, class W>
  INFALIGN_HD static void add(At at, V* count, V reference, V x, W weight) {
    count[0] = add_weight(at, count[0], reference < x, weight);
    count[0] = add_weight(at, count[0], reference <= x, weight);
  }
  INFALIGN_HD static void from_ranks(double* count, value_ranks ranks) {
    count[0] = static_cast<double>(ranks.below + ranks.at_or_below);
  }
  [[nodiscard]] INFALIGN_HD double value(const double* count, double total, double self, index_t) const {
    return (count[0] - self) / (2 * (total - self));
  }
};

struct below_count {
  static constexpr int components = 1;
  template <class At, class V, class W>
  INFALIGN_HD static void add(At at, V* count, V reference, V x, W weight) {
    count[0] = add_weight(at, count[0], reference < x, weight);
  }
  INFALIGN_HD static void from_ranks(double* count, value_ranks ranks) { count[0] = static_cast<double>(ranks.below); }
  [[nodiscard]] INFALIGN_HD double value(const double* count, double total, double self, index_t) const {
    return count[0] / (total - self);
  }
};

struct at_or_below_count {
  static constexpr int components = 1;
  template <class At, class V, class W>
  INFALIGN_HD static void add(At at, V* count, V reference, V x, W weight) {
    count[0] = add_weight(at, count[0], reference <= x, weight);
  }
  INFALIGN_HD static void from_ranks(double* count, value_ranks ranks) { count[0] = static_cast<double>(ranks.at_or_below); }
  [[nodiscard]] INFALIGN_HD double value(const double* count, double total, double self, index_t) const {
    return (count[0] - self) / (total - self);
  }
};

struct randomized_count {
  static constexpr int components = 2;
  std::uint64_t seed;
  std::uint64_t first;
  template <class At, class V, class W>
  INFALIGN_HD static void add(At at, V* count, V reference, V x, W weight) {
    count[0] = add_weight(at, count[0], reference < x, weight);
    count[1] = add_weight(at, count[1], reference <= x, weight);
  }
  INFALIGN_HD static void from_ranks(double* count, value_ranks ranks) {
    count[0] = static_cast<double>(ranks.below);
    count[1] = static_cast<double>(ranks.at_or_below);
  }
  [[nodiscard]] INFALIGN_HD double value(const double* count, double total, double self, index_t position) const {
    // The share has 33 bits, so that for up to 2^20 references the numerator is exact. It is neither 0 nor 1, where transforms may
    // be infinite.
    const double share = (philox4x32(first + static_cast<std::uint64_t>(position), 0, seed).word[0] + 0.5) * 0x1.0p-32;
    using std::fma;  // every compiler and device rounds it once
    return fma(share, count[1] - count[0] - self, count[0]) / (total - self);
  }
};

/// A calibrated reward in the type that it is stored in. Below 1 it stays below 1, where a transform may be infinite.
template <class T>
INFALIGN_HD T stored_share(double u) {
  if constexpr (std::same_as<T, float>) {
    constexpr double largest = 1 - 0x1.0p-24;
    if (u < 1 && u > largest) return static_cast<float>(largest);
  }
  return static_cast<T>(u);
}

/// Calls `use` with the counting formula of a tie rule.
template <class Use>
decltype(auto) with_tie_count(const tie_rule& ties, Use&& use) {
  switch (ties.rule) {
    case tie_rule::kind::below: return use(below_count{});
    case tie_rule::kind::at_or_below: return use(at_or_below_count{});
    case tie_rule::kind::randomized: return use(randomized_count{ties.seed, ties.first});
    case tie_rule::kind::mid_rank: break;
  }
  return use(mid_rank_count{});
}

}  // namespace infalign::detail
