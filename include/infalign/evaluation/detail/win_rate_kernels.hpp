// SPDX-License-Identifier: Apache-2.0
/// \file
/// The win-rate statistic of one prompt, from ranks found by comparing or by searching.
#pragma once

#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/procedure/procedure.hpp"

namespace infalign::detail {

/// `G` of a count from a table: for prompts that all have the same number of samples.
struct tabulated_shares {
  const double* table;
  INFALIGN_HD double operator()(index_t count, index_t) const { return table[count]; }
};

/// `G` of a count, computed.
template <class Procedure>
struct computed_shares {
  Procedure procedure;
  INFALIGN_HD double operator()(index_t count, index_t samples) const { return served_share(procedure, count, samples); }
};

/// The same without the procedure's type, so that kernels on host memory are not compiled for every pair of procedures.
struct erased_shares {
  const void* procedure;
  double (*share)(const void*, index_t, index_t);
  INFALIGN_HD double operator()(index_t count, index_t samples) const { return share(procedure, count, samples); }
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
template <class PolicyShare, class BaseShare>
INFALIGN_HD double win_rate_term(const PolicyShare& policy, index_t m, value_ranks own, const BaseShare& base, index_t k,
                                 value_ranks other) {
  const double step = policy(own.at_or_below, m) - policy(own.below, m);
  const double served = 0.5 * (base(other.below, k) + base(other.at_or_below, k));
  return step / static_cast<double>(own.at_or_below - own.below) * served;
}

template <class Policy, class Base, class PolicyShare, class BaseShare>
struct win_rate_by_counting {
  Policy policy;
  Base base;
  PolicyShare policy_share;
  BaseShare base_share;
  double* out;

  using T = compute_t<typename Policy::value_type>;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = policy[g];
    const auto z = base[g];
    double sum = 0;
    index_t j = 0;
    for (; j + 4 <= y.size(); j += 4) sum += block<4>(team, y, z, j);
    for (; j < y.size(); ++j) sum += block<1>(team, y, z, j);
    team.once([&] { out[g] = sum; });
  }

 private:
  template <int Block, class Team, class Y, class Z>
  INFALIGN_HD double block(Team& team, Y y, Z z, index_t first) const {
    value_ranks own[Block];
    value_ranks other[Block];
    rank<Block>(team, y, y.data() + first, own);
    rank<Block>(team, z, y.data() + first, other);
    return team.sum_items(
        Block, [&](index_t b) { return win_rate_term(policy_share, y.size(), own[b], base_share, z.size(), other[b]); });
  }

  /// For each of `Block` values, how many of the group are below it and how many at or below.
  template <int Block, class Team, class Group, class X>
  INFALIGN_HD static void rank(Team& team, Group group, const X* values, value_ranks* ranks) {
    using V = typename Team::template vec<T>;
    constexpr index_t exact = index_t{1} << 22;  // counts are exact up to 2^24 a lane
    V x[Block];
    for (int b = 0; b < Block; ++b) {
      x[b] = V(static_cast<T>(values[b]));
      ranks[b] = {0, 0};
    }
    for (index_t begin = 0; begin < group.size(); begin += exact) {
      const index_t n = group.size() - begin < exact ? group.size() - begin : exact;
      const auto* chunk = group.data() + begin;
      V below[Block], at_or_below[Block];
      for (int b = 0; b < Block; ++b) below[b] = at_or_below[b] = V(0);
      team.template loop<T>(n, [&](auto at, auto) {
        const V z = at.load(chunk, infinity<T>);
        for (int b = 0; b < Block; ++b) {
          below[b] = at.count_where(below[b], z < x[b]);
          at_or_below[b] = at.count_where(at_or_below[b], z <= x[b]);
        }
      });
      for (int b = 0; b < Block; ++b) {
        ranks[b].below += static_cast<index_t>(team.count(below[b]));
        ranks[b].at_or_below += static_cast<index_t>(team.count(at_or_below[b]));
      }
    }
    // An infinite value, on a backend that does not look, has the padding at or below it as well.
    for (int b = 0; b < Block; ++b)
      if (ranks[b].at_or_below > group.size()) ranks[b].at_or_below = group.size();
  }
};
template <class P, class R, class A, class S>
win_rate_by_counting(P, R, A, S, double*) -> win_rate_by_counting<P, R, A, S>;

template <class Policy, class Base, class PolicyShare, class BaseShare>
struct win_rate_by_search {
  Policy policy;
  Base base;
  PolicyShare policy_share;
  BaseShare base_share;
  double* out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = policy[g];
    const auto z = base[g];
    const double sum = team.sum_items(y.size(), [&](index_t j) {
      return win_rate_term(policy_share, y.size(), ranks_of_sorted(y.data(), y.size(), j), base_share, z.size(),
                           ranks_among_sorted(z.data(), z.size(), y[j]));
    });
    team.once([&] { out[g] = sum; });
  }
};
template <class P, class R, class A, class S>
win_rate_by_search(P, R, A, S, double*) -> win_rate_by_search<P, R, A, S>;

}  // namespace infalign::detail
