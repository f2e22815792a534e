// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/centred.hpp"

namespace infalign {

/// Dr.GRPO: the advantage of each rollout over the mean reward of its prompt, `A_i = r_i - mean`. The mean counts the rollout
/// itself, so its expectation is (n - 1)/n times the gradient of the mean reward; `leave_one_out_advantage` puts that right.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2, or of any where `options.single` says what a group of one
/// gets; `out` may be `rewards`. Rewards that are all equal give exactly 0. Cost: three passes over values in cache, sums in
/// `double`. NaN: see `missing_reward`; on an unchecked backend, it and infinity are left out. Errors: `shape_error` for a
/// group of fewer than 2, `domain_error` for NaN or infinity. Source: Liu et al., Understanding R1-Zero-Like Training, arXiv
/// 2503.20783. Error, besides the rounding of the result: `(n/2 + 8)·2⁻⁵³·max|r - mean|`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void mean_centred_advantage(B&& on, const Rewards& rewards, const Out& out, const group_options& options = {}) {
  detail::check_advantage(on, "mean_centred_advantage", rewards, out, options, "a mean to compare with needs at least two");
  detail::run_centred(on, rewards, out, {}, options);
}

}  // namespace infalign
