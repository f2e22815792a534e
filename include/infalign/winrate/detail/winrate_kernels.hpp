// SPDX-License-Identifier: Apache-2.0
/// \file
/// The win-rate statistic of one prompt, from ranks found by comparing or by searching.
#pragma once

#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/procedure/procedure.hpp"

namespace infalign::detail {

/// `G` of a count, from the table if there is one.
template <class Procedure>
struct served_shares {
  Procedure procedure;
  const double* table;
  INFALIGN_HD double operator()(index_t count, index_t samples) const {
    return table != nullptr ? table[count] : served_share(procedure, count, samples);
  }
};

template <class Procedure>
struct share_table_kernel {
  Procedure procedure;
  index_t samples;
  double* table;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    team.items(samples + 1, [&](index_t count) { table[count] = served_share(procedure, count, samples); });
  }
};

/// What one policy sample adds: its share of the step of `A` at its value (equal samples share one step), times the mean of `B`
/// just below and at that value.
template <class PolicyShare, class ReferenceShare>
INFALIGN_HD double winrate_term(const PolicyShare& policy, index_t m, index_t own_below, index_t own_at_or_below,
                                const ReferenceShare& reference, index_t k, index_t below, index_t at_or_below) {
  const double step = policy(own_at_or_below, m) - policy(own_below, m);
  const double served = 0.5 * (reference(below, k) + reference(at_or_below, k));
  return step / static_cast<double>(own_at_or_below - own_below) * served;
}

template <class Policy, class Reference, class PolicyShare, class ReferenceShare>
struct winrate_by_counting {
  Policy policy;
  Reference reference;
  PolicyShare policy_share;
  ReferenceShare reference_share;
  double* out;

  using T = compute_t<typename Policy::value_type>;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = policy[g];
    double sum = 0;
    index_t j = 0;
    for (; j + 4 <= y.size(); j += 4) sum += block<4>(team, g, j);
    for (; j < y.size(); ++j) sum += block<1>(team, g, j);
    team.once([&] { out[g] = sum; });
  }

 private:
  template <int Block, class Team>
  INFALIGN_HD double block(Team& team, index_t g, index_t first) const {
    const auto y = policy[g];
    const auto z = reference[g];
    index_t own[2 * Block];
    index_t other[2 * Block];
    rank<Block>(team, y, y.data() + first, own);
    rank<Block>(team, z, y.data() + first, other);
    return team.sum_items(Block, [&](index_t b) {
      return winrate_term(policy_share, y.size(), own[2 * b], own[2 * b + 1], reference_share, z.size(), other[2 * b],
                          other[2 * b + 1]);
    });
  }

  /// For each of `Block` values, how many of the group are below it and how many at or below.
  template <int Block, class Team, class Group, class X>
  INFALIGN_HD static void rank(Team& team, Group group, const X* values, index_t* ranks) {
    using V = typename Team::template vec<T>;
    constexpr index_t exact = index_t{1} << 22;  // counts are exact up to 2^24 a lane
    V x[Block];
    for (int b = 0; b < Block; ++b) {
      x[b] = V(static_cast<T>(values[b]));
      ranks[2 * b] = ranks[2 * b + 1] = 0;
    }
    for (index_t begin = 0; begin < group.size(); begin += exact) {
      const index_t n = group.size() - begin < exact ? group.size() - begin : exact;
      const auto* chunk = group.data() + begin;
      V count[2 * Block];
      for (V& c : count) c = V(0);
      team.template loop<T>(n, [&](auto at, auto) {
        const V z = at.load(chunk, infinity<T>);
        for (int b = 0; b < Block; ++b) {
          count[2 * b] = at.count_where(count[2 * b], z < x[b]);
          count[2 * b + 1] = at.count_where(count[2 * b + 1], z <= x[b]);
        }
      });
      for (int c = 0; c < 2 * Block; ++c) ranks[c] += static_cast<index_t>(team.count(count[c]));
    }
    // An infinite value, on a backend that does not look, has the padding at or below it as well.
    for (int c = 0; c < 2 * Block; ++c) ranks[c] = ranks[c] < group.size() ? ranks[c] : group.size();
  }
};
template <class P, class R, class A, class S>
winrate_by_counting(P, R, A, S, double*) -> winrate_by_counting<P, R, A, S>;

template <class Policy, class Reference, class PolicyShare, class ReferenceShare>
struct winrate_by_search {
  Policy policy;
  Reference reference;
  PolicyShare policy_share;
  ReferenceShare reference_share;
  double* out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = policy[g];
    const auto z = reference[g];
    const double sum = team.sum_items(y.size(), [&](index_t j) {
      const auto x = y[j];
      return winrate_term(policy_share, y.size(), count_sorted<false>(y.data(), y.size(), x),
                          count_sorted<true>(y.data(), y.size(), x), reference_share, z.size(),
                          count_sorted<false>(z.data(), z.size(), x), count_sorted<true>(z.data(), z.size(), x));
    });
    team.once([&] { out[g] = sum; });
  }
};
template <class P, class R, class A, class S>
winrate_by_search(P, R, A, S, double*) -> winrate_by_search<P, R, A, S>;

}  // namespace infalign::detail
