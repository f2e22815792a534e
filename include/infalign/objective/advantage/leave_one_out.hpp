// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"

namespace infalign {

namespace detail {
template <class Rewards, class Out>
struct leave_one_out_kernel {
  Rewards rewards;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using T = compute_t<typename Rewards::value_type>;
    using V = typename Team::template vec<T>;
    const auto r = rewards[g];
    const auto result = out[g];
    const auto n = static_cast<double>(r.size());
    const double mean = team.sum_items(r.size(), [&](index_t i) { return static_cast<double>(r[i]); }) / n;
    const V centre = constant<V>(mean);
    const V factor = constant<V>(n / (n - 1));
    team.template loop<T>(r.size(), [&](auto at, auto) { at.store(result.data(), (at.load(r.data()) - centre) * factor); });
  }
};
template <class R, class O>
leave_one_out_kernel(R, O) -> leave_one_out_kernel<R, O>;
}  // namespace detail

/// RLOO: the advantage of each rollout over the mean reward of the other rollouts of its prompt,
/// `A_i = r_i - Σ_{j≠i} r_j/(n-1)`. It equals `n/(n-1)·(r_i - mean)`. The baseline does not depend on the rollout, so the
/// policy gradient stays unbiased.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2; `out` may be `rewards`. Cost: two passes. Errors:
/// `shape_error` for a group of fewer than 2, `domain_error` for NaN or infinity. Source: Kool, van Hoof, Welling 2019; RLOO,
/// Ahmadian et al., arXiv 2402.14740.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void leave_one_out_advantage(B&& on, const Rewards& rewards, const Out& out) {
  constexpr const char* function = "leave_one_out_advantage";
  detail::check_advantage(on, function, rewards, out, "leaving one out needs at least two");
  on.groups(rewards.size(), 4 * rewards.total(), detail::leave_one_out_kernel{any_groups(rewards), any_groups(out)});
}

}  // namespace infalign
