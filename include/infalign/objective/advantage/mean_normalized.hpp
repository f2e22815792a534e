// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/centred.hpp"

namespace infalign {

/// MaxRL: the advantage of each rollout in units of the mean reward of its prompt, `A_i = (r_i - mean)/(mean + ε)`. For rewards
/// 0 and 1 and small ε, the mean of `A_i·∇log π(y_i)` over the n rollouts is in expectation the gradient of `Σ_{k<n} pass@k/k`,
/// which tends to that of the logarithm of the probability to pass. A prompt of which all rollouts fail, or all pass, gives
/// exactly 0.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2; `out` may be `rewards`. `ε > 0`, in units of the reward. Cost:
/// three passes over values in cache. NaN: see `missing_reward`; on an unchecked backend, it and infinity are left out. Errors:
/// `shape_error` for a group of fewer than 2; `domain_error` for NaN, infinity and negative rewards, or an ε that is not positive
/// and finite. Source: Tajwar et al., Maximum Likelihood Reinforcement Learning, arXiv 2602.02710. Error, besides the rounding of
/// the result: `(n/2 + 8)·2⁻⁵³·max|r - mean|/(mean + ε)`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void mean_normalized_advantage(B&& on, const Rewards& rewards, const Out& out, double epsilon = 1e-6,
                               const missing_reward& missing = missing_reward::refused()) {
  constexpr const char* function = "mean_normalized_advantage";
  expects<domain_error>(epsilon > 0 && epsilon - epsilon == 0, function, "epsilon is ", epsilon,
                        ", must be positive and finite");
  expects<domain_error>(!(missing.substitute() < 0), function, "the missing reward is scored ", missing.substitute(),
                        ", must not be negative");
  detail::check_advantage(on, function, rewards, out, missing, 2, "a mean to compare with needs at least two");
  detail::expects_each<detail::is_negative>(on, function, "rewards", rewards, "not negative");
  detail::run_centred(on, rewards, out, {.what = detail::centred_factor::kind::mean, .epsilon = epsilon},
                      {group_of_one::zero, missing});
}

}  // namespace infalign
