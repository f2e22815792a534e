// SPDX-License-Identifier: Apache-2.0
/// \file
/// Advantages of objectives of a whole group, of what a procedure serves of it, in O(m·log m).
///
/// Let `x_0 ≤ x_1 ≤ … ≤ x_{m-1}` be the rewards of a group in ascending order, and let `v` say what serving a reward is worth.
/// A sum over subsets of the group is a sum over levels: serving `x` is worth `Σ_l (v(x_l) - v(x_{l-1}))` over the levels `x_l
/// ≤ x`, and whether level l is reached depends on how many of a subset lie below `x_l`. Of the whole group there are l, unless
/// `x_l = x_{l-1}`, and then the level adds nothing. So the advantage of the sample of rank j is
///
///     Σ_{l ≤ j} gap_l·passing_l + Σ_{l > j} gap_l·failing_l,   gap_l = v(x_l) - v(x_{l-1}),   v(x_{-1}) = 0,
///
/// with two weights for each level: that of the samples that reach it, and that of those that do not. Two running sums give it
/// for all j. Gaps are not negative, so that little cancels, and equal samples get equal advantages.
#pragma once

#include <cstddef>

#include "infalign/backend/detail/sorted_groups.hpp"
#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"
#include "infalign/core/views.hpp"
#include "infalign/procedure/procedure.hpp"

namespace infalign::detail {

/// A table for each group, or one for all if they are equally long: `more` entries beside `each` for every sample.
struct group_tables {
  double* values;
  index_t each;
  index_t more;
  bool shared;
  template <class Groups>
  [[nodiscard]] INFALIGN_HD double* of(const Groups& groups, index_t g) const {
    return shared ? values : values + each * groups.offset(g) + more * g;
  }
};

template <class Groups, class Rule>
struct group_tables_kernel {
  Groups groups;
  Rule rule;
  group_tables tables;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const index_t m = groups[g].size();
    double* const table = tables.of(groups, g);
    team.items(tables.each * m + tables.more, [&](index_t entry) { table[entry] = rule(entry, m); });
  }
};
template <class G, class R>
group_tables_kernel(G, R, group_tables) -> group_tables_kernel<G, R>;

/// Fills them with `rule(entry, m)`.
template <class B, class Frame, class Groups, class Rule>
group_tables make_group_tables(B& on, Frame& frame, const Groups& groups, index_t each, index_t more, const Rule& rule) {
  constexpr bool shared = shape<Groups>::equal_sizes;
  const index_t tables = shared ? 1 : groups.size();
  const index_t samples = shared ? groups.total() / groups.size() : groups.total();
  const group_tables made{frame.template take<double>(each * samples + more * tables), each, more, shared};
  on.groups(tables, 16 * samples, group_tables_kernel{any_groups(groups), rule, made});
  return made;
}

/// The share of what is served that is at or below `count` of the samples.
template <class Procedure>
struct share_rule {
  Procedure procedure;
  [[nodiscard]] INFALIGN_HD double operator()(index_t count, index_t m) const { return served_share(procedure, count, m); }
};

/// The weights of levels, even entries of samples that reach it, odd ones of samples that do not, for `m·(U - kept·U_{-i})`:
/// `U` is the mean over all N-subsets of the group, `U_{-i}` that of the group without the sample.
///
/// Samples that are left out are independent of i, so any `kept` leaves the gradient unbiased. With 1 it is a baseline. With `1
/// - N/m`, the share of subsets without i, the subsets that hold i are what remains.
template <class Procedure>
struct left_out_rule {
  Procedure procedure;
  index_t needed;
  bool baseline;
  [[nodiscard]] INFALIGN_HD double operator()(index_t entry, index_t m) const {
    const index_t level = entry / 2, failing = entry % 2;
    if (level < failing) return 0;  // every sample reaches the lowest level
    const auto samples = static_cast<double>(m);
    const double kept = baseline ? 1 : 1 - static_cast<double>(needed) / samples;
    const double with = procedure.from_count(level, m);
    if (m == needed) return samples * (1 - with);
    return samples * ((1 - kept) + (kept * procedure.from_count(level - failing, m - 1) - with));
  }
};

/// What serving a reward is worth: itself.
struct own_reward {
  template <class X>
  [[nodiscard]] INFALIGN_HD double operator()(index_t, X reward) const {
    return static_cast<double>(reward);
  }
};

/// The probability to beat what a procedure serves over the base policy, a tie counting ½. The base rewards are sorted.
template <class Base>
struct wins_against {
  Base base;
  group_tables shares;
  template <class X>
  [[nodiscard]] INFALIGN_HD double operator()(index_t g, X reward) const {
    const auto z = base[g];
    const value_ranks ranks = ranks_among_sorted(z.data(), z.size(), reward);
    const double* const share = shares.of(base, g);
    return 0.5 * (share[ranks.below] + share[ranks.at_or_below]);
  }
};
template <class B>
wins_against(B, group_tables) -> wins_against<B>;

template <class Sorted, class Rewards, class Out, class Worth>
struct level_sum_kernel {
  Sorted sorted;
  Rewards rewards;
  Out out;
  Worth worth;
  group_tables weights;
  double* gaps;  ///< scratch, as `sums`: one for each sample
  double* sums;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto x = sorted[g];
    const auto y = rewards[g];
    const auto result = out[g];
    const index_t m = x.size();
    const double* const weight = weights.of(sorted, g);
    double* const gap = gaps + sorted.offset(g);
    double* const sum = sums + sorted.offset(g);
    team.items(m, [&](index_t l) { sum[l] = worth(g, x[l]); });
    team.items(m, [&](index_t l) { gap[l] = sum[l] - (l == 0 ? 0 : sum[l - 1]); });
    team.once([&] {
      double above = 0, reached = 0;
      for (index_t l = m - 1; l >= 0; --l) {
        sum[l] = above;
        above += gap[l] * weight[2 * l + 1];
      }
      for (index_t l = 0; l < m; ++l) sum[l] += reached += gap[l] * weight[2 * l];
    });
    team.items(m, [&](index_t i) {
      const index_t rank = count_sorted<false>(x.data(), m, y[i]);
      // Where nobody looked for NaN, sorting and searching may disagree.
      result[i] = static_cast<S>(static_cast<compute_t<S>>(sum[rank < m ? rank : m - 1]));
    });
  }
};
template <class S, class R, class O, class W>
level_sum_kernel(S, R, O, W, group_tables, double*, double*) -> level_sum_kernel<S, R, O, W>;

/// The advantages from the weights of levels.
template <class B, class Frame, class Rewards, class Out, class Worth>
void run_level_sums(B& on, Frame& frame, const Rewards& rewards, const Out& out, const Worth& worth,
                    const group_tables& weights) {
  const auto sorted = sorted_groups(on, frame, rewards);
  double* const gaps = frame.template take<double>(rewards.total());
  double* const sums = frame.template take<double>(rewards.total());
  on.groups(rewards.size(), 32 * rewards.total(),
            level_sum_kernel{sorted, any_groups(rewards), any_groups(out), worth, weights, gaps, sums});
}

template <class Procedure>
constexpr void expects_unbiased() {
  static_assert(
      requires(const Procedure& procedure, index_t n) { procedure.from_count(n, n); },
      "the gradient is unbiased only for a procedure with from_count, which best_of_poisson has not");
}

}  // namespace infalign::detail
