// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/centred.hpp"

namespace infalign {

/// RLOO: the advantage of each rollout over the mean reward of the other rollouts of its prompt, `A_i = r_i - Σ_{j≠i}
/// r_j/(n-1)`. It equals `n/(n-1)·(r_i - mean)`. The baseline does not depend on the rollout, so the policy gradient stays
/// unbiased.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2, or of any where `options.single` says what a group of one
/// gets; `out` may be `rewards`. Rewards that are all equal give exactly 0. Cost: three passes over values in cache, sums in
/// `double`. NaN: see `missing_reward`; on an unchecked backend, it and infinity are left out. Errors: `shape_error` for a
/// group of fewer than 2, `domain_error` for NaN or infinity. Source: Kool, van Hoof, Welling 2019; RLOO, Ahmadian et al.,
/// arXiv 2402.14740. Error, besides the rounding of the result: `(n/2 + 8)·2⁻⁵³·max|r - mean|·n/(n-1)`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void leave_one_out_advantage(B&& on, const Rewards& rewards, const Out& out, const group_options& options = {}) {
  detail::check_advantage(on, "leave_one_out_advantage", rewards, out, options, "leaving one out needs at least two");
  detail::run_centred(on, rewards, out, {.what = detail::centred_factor::kind::leave_one_out}, options);
}

}  // namespace infalign
