// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"

namespace infalign {

namespace detail {
template <class Rewards, class Lengths, class Out>
struct length_weighted_kernel {
  Rewards rewards;
  Lengths lengths;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto l = lengths[g];
    const auto result = out[g];
    const double total = team.sum_items(r.size(), [&](index_t i) { return static_cast<double>(l[i]); });
    const auto mean = [&](double centre) {
      if (!(total > 0)) return 0.0;
      return team.sum_items(r.size(), [&](index_t i) {
        return static_cast<double>(l[i]) * (static_cast<double>(r[i]) - centre);
      }) / total;
    };
    const double near = mean(0);
    const double rest = mean(near);
    team.items(r.size(), [&](index_t i) {
      result[i] = static_cast<S>(static_cast<compute_t<S>>(static_cast<double>(r[i]) - near - rest));
    });
  }
};
template <class R, class L, class O>
length_weighted_kernel(R, L, O) -> length_weighted_kernel<R, L, O>;
}  // namespace detail

/// OPO: the advantage of each rollout over the mean reward of its prompt, weighted by the lengths of the responses: `A_i = r_i
/// - Σ_j l_j·r_j / Σ_j l_j`. That is the baseline of least variance where the gradients of tokens have equal norms and are
/// uncorrelated.
///
/// Shapes: `rewards`, `lengths` and `out` P groups of the same lengths n ≥ 2; `out` may be `rewards`. Lengths are of any
/// arithmetic type; if those of a group are all 0, its baseline is 0. Cost: four passes over values in cache, sums in `double`.
/// Errors: `shape_error` for a group of fewer than 2 and for `out` over `lengths`; `domain_error` for a reward that is not
/// finite, a negative length, or one that is not finite. Source: Hao et al., On-Policy RL with Optimal Reward Baseline, arXiv
/// 2505.23585. Error, besides the rounding of the result: `(n/2 + 8)·2⁻⁵³·max|r|`.
template <backend B, grouped Rewards, grouped Lengths, writable_groups Out>
  requires reachable_from<B, Rewards, Lengths, Out>
void length_weighted_advantage(B&& on, const Rewards& rewards, const Lengths& lengths, const Out& out) {
  constexpr const char* function = "length_weighted_advantage";
  detail::check_advantage(on, function, rewards, out, missing_reward::refused(), 2,
                          "a mean to compare with needs at least two");
  detail::expects_groups(on, function, "lengths", lengths);
  detail::expects_same_shape(on, function, "lengths", lengths, "rewards", rewards);
  detail::expects_apart(function, "out", out, "lengths", lengths);
  detail::expects_each<detail::is_negative_or_not_finite>(on, function, "lengths", lengths, "finite and not negative");
  on.groups(rewards.size(), 6 * rewards.total(),
            detail::length_weighted_kernel{any_groups(rewards), any_groups(lengths), any_groups(out)});
}

}  // namespace infalign
