// SPDX-License-Identifier: Apache-2.0
/// \file
/// Curves over N in one pass: ranks are found once, and then the lanes work on different N.
///
/// `F_N(c)/F_N(m)` is the share of best-of-N that c of m samples hold: see `curve_table.hpp`.
#pragma once

#include <cstddef>

#include "infalign/backend/backend.hpp"
#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"
#include "infalign/evaluation/detail/curve_table.hpp"
#include "infalign/evaluation/detail/served_shares.hpp"

namespace infalign::detail {

/// For every value its ranks among another group, which is sorted or is compared with as it is.
template <class Values, class Among>
struct ranks_kernel {
  Values values;
  Among among;
  bool sorted;
  value_ranks* out;

  using T = compute_t<typename Values::value_type>;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = values[g];
    const auto z = among[g];
    value_ranks* const ranks = out + values.offset(g);
    if (sorted)
      return team.items(y.size(), [&](index_t j) { ranks[j] = ranks_among_sorted(z.data(), z.size(), static_cast<T>(y[j])); });
    index_t j = 0;
    for (; j + 4 <= y.size(); j += 4) block<4>(team, y, z, j, ranks);
    for (; j < y.size(); ++j) block<1>(team, y, z, j, ranks);
  }

 private:
  template <std::size_t Block, class Team, class Y, class Z>
  INFALIGN_HD void block(Team& team, Y y, Z z, index_t first, value_ranks* ranks) const {
    value_ranks found[Block];
    rank_by_counting<Block, T>(team, z, y.data() + first, found);
    team.items(Block, [&](index_t b) { ranks[first + b] = found[b]; });
  }
};
template <class V, class A>
ranks_kernel(V, A, bool, value_ranks*) -> ranks_kernel<V, A>;

/// Ranks from above: of the negated values.
INFALIGN_HD inline value_ranks from_above(value_ranks of, index_t size) {
  return {size - of.at_or_below, size - of.below};
}

/// `out[N] = Σ_j gain_j·(F_N(own_j) - F_N(own_j⁻))/F_N(m)/ties_j`, times the mean share of the base's best-of-N at and below value j
/// where there is a base table.
template <class Out>
struct curve_kernel {
  struct side {
    const value_ranks* ranks;  ///< of the policy's values, on this side
    const index_t* offsets;    ///< of this side's groups; null for groups of `size`
    index_t size;
    curve_table table;

    INFALIGN_HD index_t size_of(index_t g) const { return offsets == nullptr ? size : offsets[g + 1] - offsets[g]; }
    INFALIGN_HD index_t offset_of(index_t g) const { return offsets == nullptr ? g * size : offsets[g]; }
  };
  side own;
  side base;            ///< without ranks where nothing is compared; without table where the base serves one sample
  const double* gains;  ///< null for 1
  double* coefficients;
  bool from_above_;
  Out out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using V = typename Team::template vec<double>;
    const index_t m = own.size_of(g), k = base.ranks == nullptr ? 0 : base.size_of(g), first = own.offset_of(g);
    double* const coefficient = coefficients + first;
    const auto own_ranks = [&](index_t j) { return from_above_ ? from_above(own.ranks[first + j], m) : own.ranks[first + j]; };
    const auto base_ranks = [&](index_t j) {
      return from_above_ ? from_above(base.ranks[first + j], k) : base.ranks[first + j];
    };
    const bool both = base.table.values != nullptr;
    team.items(m, [&](index_t j) {
      const value_ranks r = own_ranks(j);
      double c = (gains == nullptr ? 1.0 : gains[first + j]) / static_cast<double>(r.at_or_below - r.below);
      if (both)
        c *= 0.5;
      else if (base.ranks != nullptr)
        c *= 0.5 * static_cast<double>(base_ranks(j).below + base_ranks(j).at_or_below) / static_cast<double>(k);
      coefficient[j] = c;
    });
    team.template loop<double>(own.table.steps, [&](auto at, auto) {
      V sum(0.0);
      for (index_t j = 0; j < m; ++j) {
        const value_ranks r = own_ranks(j);
        const V step = load_on(at, own.table.of(r.at_or_below)) - load_on(at, own.table.of(r.below));
        V gain(coefficient[j]);
        if (both) {
          const value_ranks other = base_ranks(j);
          gain = gain * (load_on(at, base.table.of(other.below)) + load_on(at, base.table.of(other.at_or_below)));
        }
        sum = sum + step * gain;
      }
      V all = load_on(at, own.table.of(m));
      if (both) all = all * load_on(at, base.table.of(k));
      const V share = sum / all;
      at.store(out[g].data(), from_above_ && base.ranks != nullptr ? V(1.0) - share : share);
    });
  }
};

/// What the base serves at and below one policy sample, and what that sample is multiplied by.
struct curve_place {
  const double* below;
  const double* at_or_below;
  double gain;
};

/// The same of sorted groups, on host memory: all that belongs to a prompt stays in `room`, of one place a policy sample. Equal samples
/// need not be found: each adds the step at its own position.
template <class Policy, class Base, class Out>
struct sorted_curve_kernel {
  Policy policy;
  Base base;  ///< of no use unless `compares`
  bool compares;
  curve_table own;
  curve_table base_table;  ///< without values where the base serves one sample
  bool worst;
  Out out;

  template <class Team>
  INFALIGN_KEYED void operator()(Team& team, index_t g, curve_place* room) const {
    using V = typename Team::template vec<double>;
    const auto y = policy[g];
    const index_t m = y.size(), k = compares ? base[g].size() : 0;
    const bool both = base_table.values != nullptr;
    if (compares)
      fill_compared(team, g, room);
    else
      for (index_t j = 0; j < m; ++j) room[j].gain = static_cast<double>(y[j]);
    team.template loop<double>(own.steps, [&](auto at, auto) {
      V before = load_on(at, own.of(worst ? m : 0));
      const auto term = [&](index_t j) {
        const V after = load_on(at, own.of(worst ? m - 1 - j : j + 1));
        const V step = worst ? before - after : after - before;
        before = after;
        return step * (both ? load_on(at, room[j].below) + load_on(at, room[j].at_or_below) : V(room[j].gain));
      };
      // Two sums: one would wait for each addition.
      V sum(0.0), odd(0.0);
      index_t j = 0;
      for (; j + 2 <= m; j += 2) {
        sum = sum + term(j);
        odd = odd + term(j + 1);
      }
      if (j < m) sum = sum + term(j);
      sum = sum + odd;
      V all = load_on(at, own.of(m));
      if (both) all = all * load_on(at, base_table.of(k)) * V(2.0);
      const V share = sum / all;
      at.store(out[g].data(), worst && compares ? V(1.0) - share : share);
    });
  }

 private:
  template <class Team>
  INFALIGN_KEYED void fill_compared(Team& team, index_t g, curve_place* room) const {
    const auto y = policy[g];
    const auto z = base[g];
    ascending_ranks<Team, typename Policy::value_type> of_base(team, z.data(), z.size());
    for (index_t j = 0; j < y.size(); ++j) {
      const value_ranks up = of_base(y[j]), r = worst ? from_above(up, z.size()) : up;
      room[j] = {base_table.of(r.below), base_table.of(r.at_or_below),
                 0.5 * static_cast<double>(r.below + r.at_or_below) / static_cast<double>(z.size())};
    }
  }
};
template <class P, class Z, class Out>
sorted_curve_kernel(P, Z, bool, curve_table, curve_table, bool, Out) -> sorted_curve_kernel<P, Z, Out>;

}  // namespace infalign::detail
