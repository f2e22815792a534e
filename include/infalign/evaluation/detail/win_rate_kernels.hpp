// SPDX-License-Identifier: Apache-2.0
/// \file
/// The win-rate statistic of one prompt, from ranks found by comparing or from sorted samples.
#pragma once

#include <concepts>
#include <cstddef>

#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/evaluation/detail/served_shares.hpp"

namespace infalign::detail {

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
  template <std::size_t Block, class Team, class Y, class Z>
  INFALIGN_HD double block(Team& team, Y y, Z z, index_t first) const {
    value_ranks own[Block];
    value_ranks other[Block];
    rank_by_counting<Block, T>(team, y, y.data() + first, own);
    rank_by_counting<Block, T>(team, z, y.data() + first, other);
    return team.sum_items(
        Block, [&](index_t b) { return win_rate_term(policy_share, y.size(), own[b], base_share, z.size(), other[b]); });
  }
};
template <class P, class R, class A, class S>
win_rate_by_counting(P, R, A, S, double*) -> win_rate_by_counting<P, R, A, S>;

/// Both sides are sorted. Equal policy samples need not be found: each adds the step of `A` at its own position, and all the same `B`.
/// On host memory a team takes them in order, and ranks come by merging; else each is searched for.
template <class Policy, class Base, class PolicyShare, class BaseShare>
struct win_rate_of_sorted {
  Policy policy;
  Base base;
  PolicyShare policy_share;
  BaseShare base_share;
  double* out;

  template <class Team>
  INFALIGN_HD INFALIGN_KEYED void operator()(Team& team, index_t g) const {
    const auto y = policy[g];
    const auto z = base[g];
    const auto term = [&](index_t j, value_ranks among_base) {
      return win_rate_term(policy_share, y.size(), {j, j + 1}, base_share, z.size(), among_base);
    };
    if constexpr (std::same_as<typename Policy::memory_space, host_memory>) {
      ascending_ranks<Team, typename Policy::value_type> among_base(team, z.data(), z.size());
      double sum = 0;
      for (index_t j = 0; j < y.size(); ++j) sum += term(j, among_base(y[j]));
      out[g] = sum;
    } else {
      const double sum =
          team.sum_items(y.size(), [&](index_t j) { return term(j, ranks_among_sorted(z.data(), z.size(), y[j])); });
      team.once([&] { out[g] = sum; });
    }
  }
};
template <class P, class R, class A, class S>
win_rate_of_sorted(P, R, A, S, double*) -> win_rate_of_sorted<P, R, A, S>;

}  // namespace infalign::detail
