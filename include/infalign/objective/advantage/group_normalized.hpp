// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/objective/advantage/check.hpp"

namespace infalign {

namespace detail {
template <class Rewards, class Out>
struct group_normalized_kernel {
  Rewards rewards;
  Out out;
  double epsilon;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using std::sqrt;
    using T = compute_t<typename Rewards::value_type>;
    using V = typename Team::template vec<T>;
    const auto r = rewards[g];
    const auto result = out[g];
    const auto n = static_cast<double>(r.size());
    const double mean = team.sum_items(r.size(), [&](index_t i) { return static_cast<double>(r[i]); }) / n;
    const double squares = team.sum_items(r.size(), [&](index_t i) {
      const double deviation = static_cast<double>(r[i]) - mean;
      return deviation * deviation;
    });
    const V centre = constant<V>(mean);
    const V factor = constant<V>(1 / (sqrt(squares / (n - 1)) + epsilon));
    team.template loop<T>(r.size(), [&](auto at, auto) { at.store(result.data(), (at.load(r.data()) - centre) * factor); });
  }
};
template <class R, class O>
group_normalized_kernel(R, O, double) -> group_normalized_kernel<R, O>;
}  // namespace detail

/// GRPO: the advantage of each rollout in units of the spread of its prompt's rewards, `A_i = (r_i - mean)/(sd + ε)`. `sd` is
/// the standard deviation with Bessel's correction (n - 1), as in PyTorch's `std` and the trainers built on it. Rewards that
/// are all equal give 0. Prompts are weighted by 1/sd, so the expectation is not the gradient of the mean reward;
/// `leave_one_out_advantage` has no such bias.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2; `out` may be `rewards`. `ε > 0`, in units of the reward.
/// Cost: three passes over values in cache. Errors: `shape_error` for a group of fewer than 2, `domain_error` for NaN or
/// infinity, or an ε that is not positive and finite. Source: Shao et al., DeepSeekMath, arXiv 2402.03300.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void group_normalized_advantage(B&& on, const Rewards& rewards, const Out& out, double epsilon = 1e-4) {
  constexpr const char* function = "group_normalized_advantage";
  expects<domain_error>(epsilon > 0 && epsilon - epsilon == 0, function, "epsilon is ", epsilon,
                        ", must be positive and finite");
  detail::check_advantage(on, function, rewards, out, "a spread needs at least two");
  on.groups(rewards.size(), 6 * rewards.total(),
            detail::group_normalized_kernel{any_groups(rewards), any_groups(out), epsilon});
}

}  // namespace infalign
