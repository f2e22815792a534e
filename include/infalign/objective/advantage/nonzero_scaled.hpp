// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/centred.hpp"

namespace infalign {

namespace detail {

/// How many rewards of each group there are, and how many of them are not 0.
template <class Rewards>
struct nonzero_kernel {
  Rewards rewards;
  double substitute;
  double* counts;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = rewards[g];
    const auto reward = [&](index_t i) {
      const auto x = static_cast<double>(r[i]);
      return x == x ? x : substitute;
    };
    const double present = team.sum_items(r.size(), [&](index_t i) { return reward(i) == reward(i) ? 1.0 : 0.0; });
    const double zero = team.sum_items(r.size(), [&](index_t i) { return reward(i) == 0 ? 1.0 : 0.0; });
    team.once([&] {
      counts[2 * g] = present;
      counts[2 * g + 1] = present - zero;
    });
  }
};
template <class R>
nonzero_kernel(R, double, double*) -> nonzero_kernel<R>;

/// The quotient of the two, over all groups.
struct nonzero_factor_kernel {
  const double* counts;
  index_t groups;
  double* factor;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    const double present = team.sum_items(groups, [&](index_t g) { return counts[2 * g]; });
    const double nonzero = team.sum_items(groups, [&](index_t g) { return counts[2 * g + 1]; });
    team.once([&] { *factor = nonzero > 0 ? present / nonzero : present; });
  }
};

}  // namespace detail

/// GPG: the advantage of each rollout over the mean reward of its prompt, scaled for the whole batch: `A_i = (B/m)·(r_i -
/// mean)`, with B rewards in the batch of which m are not 0. Of rewards 0 and 1, few may pass; then the factor is large. If m
/// is 0, so are all advantages.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2, or of any where `options.single` says what a group of one
/// gets; `out` may be `rewards`. Rewards that are all equal give exactly 0. Cost: five passes over values in cache, sums in
/// `double`. NaN: see `missing_reward`; on an unchecked backend, it and infinity are left out. Errors: `shape_error` for a
/// group of fewer than 2, `domain_error` for NaN or infinity. Source: Chu et al., GPG, arXiv 2504.02546, in the form of verl's
/// `gpg` (`f_norm` 1). Error, besides the rounding of the result: `(n/2 + 8)·2⁻⁵³·max|r - mean|·B/m`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void nonzero_scaled_advantage(B&& on, const Rewards& rewards, const Out& out, const group_options& options = {}) {
  detail::check_advantage(on, "nonzero_scaled_advantage", rewards, out, options, "a mean to compare with needs at least two");
  if (rewards.empty()) return;
  auto frame = on.scratch();
  double* const counts = frame.template take<double>(2 * rewards.size());
  double* const factor = frame.template take<double>(1);
  on.groups(rewards.size(), 2 * rewards.total(),
            detail::nonzero_kernel{any_groups(rewards), options.missing.substitute(), counts});
  on.groups(1, 2 * rewards.size(), detail::nonzero_factor_kernel{counts, rewards.size(), factor});
  detail::run_centred(on, rewards, out, {.at = factor}, options);
}

}  // namespace infalign
