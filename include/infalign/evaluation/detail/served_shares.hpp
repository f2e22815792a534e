// SPDX-License-Identifier: Apache-2.0
/// \file
/// The share of what a procedure serves that is at or below a sample, from the sample's rank in its group; and the ranks, by comparing.
#pragma once

#include <concepts>
#include <cstddef>

#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"
#include "infalign/core/views.hpp"
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

/// The served shares of a procedure: from a table of all counts where every prompt has the same number of samples, computed
/// where it is needed otherwise. On host memory their type does not depend on the procedure. `procedure` must outlive them.
template <class Frame, class B, class Groups, class Procedure>
auto shares_of(B& on, Frame& frame, const Groups& groups, const Procedure& procedure) {
  if constexpr (shape<Groups>::equal_sizes) {
    const index_t m = group_size(on, groups, 0);
    double* const table = frame.template take<double>(m + 1);
    on.groups(1, m, share_table_kernel<Procedure>{procedure, m, table});
    return tabulated_shares{table};
  } else if constexpr (std::same_as<typename B::memory_space, host_memory>) {
    return erased_shares{&procedure, [](const void* erased, index_t count, index_t samples) {
                           return served_share(*static_cast<const Procedure*>(erased), count, samples);
                         }};
  } else {
    return computed_shares<Procedure>{procedure};
  }
}

/// For each of `Block` values, how many of the group are below it and how many at or below. Counts in lanes of `T`.
/// Declared `inline`, without which g++ calls it, and win rates of 128 samples take 14 % longer.
template <std::size_t Block, class T, class Team, class Group, class X>
INFALIGN_HD inline void rank_by_counting(Team& team, Group group, const X* values, value_ranks* ranks) {
  using V = typename Team::template vec<T>;
  constexpr index_t exact = index_t{1} << 22;  // counts are exact up to 2^24 a lane
  V x[Block];
  for (std::size_t b = 0; b < Block; ++b) {
    x[b] = V(static_cast<T>(values[b]));
    ranks[b] = {0, 0};
  }
  for (index_t begin = 0; begin < group.size(); begin += exact) {
    const index_t n = group.size() - begin < exact ? group.size() - begin : exact;
    const auto* chunk = group.data() + begin;
    V below[Block], at_or_below[Block];
    for (std::size_t b = 0; b < Block; ++b) below[b] = at_or_below[b] = V(0);
    team.template loop<T>(n, [&](auto at, auto) {
      const V z = at.load(chunk, infinity<T>);
      for (std::size_t b = 0; b < Block; ++b) {
        below[b] = at.count_where(below[b], z < x[b]);
        at_or_below[b] = at.count_where(at_or_below[b], z <= x[b]);
      }
    });
    for (std::size_t b = 0; b < Block; ++b) {
      ranks[b].below += static_cast<index_t>(team.count(below[b]));
      ranks[b].at_or_below += static_cast<index_t>(team.count(at_or_below[b]));
    }
  }
  // An infinite value, on a backend that does not look, has the padding at or below it as well.
  for (std::size_t b = 0; b < Block; ++b)
    if (ranks[b].at_or_below > group.size()) ranks[b].at_or_below = group.size();
}

/// The ranks of values that come in ascending order among sorted ones. Most of a rank is known from the value before; the rest is
/// counted in a block of constant size, by the team's lanes.
template <class Team, class T>
class INFALIGN_KEYED ascending_ranks {
 public:
  ascending_ranks(Team& team, const T* sorted, index_t n) : team_(team), sorted_(sorted), n_(n) {}
  value_ranks operator()(T x) {
    while (begin_ + block <= n_ && sorted_[begin_ + block - 1] < x) begin_ += block;
    const index_t below =
        begin_ + (begin_ + block <= n_ ? below_in_block(x) : count_sorted<false>(sorted_ + begin_, n_ - begin_, x));
    if (below == n_ || x < sorted_[below]) return {below, below};
    return {below, below + count_sorted<true>(sorted_ + below, n_ - below, x)};
  }

 private:
  using V = typename Team::template vec<compute_t<T>>;
  static constexpr index_t block = 16;

  index_t below_in_block(T x) const {
    const V bound(static_cast<compute_t<T>>(x));
    V found(0);
    team_.template loop<compute_t<T>>(block,
                                      [&](auto at, auto) { found = at.count_where(found, at.load(sorted_ + begin_) < bound); });
    return static_cast<index_t>(team_.count(found));
  }

  Team& team_;
  const T* sorted_;
  index_t n_;
  index_t begin_ = 0;
};

}  // namespace infalign::detail
