// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/level_sums.hpp"
#include "infalign/objective/advantage/subset_baseline.hpp"

namespace infalign {

/// The gradient of the expected reward of what a procedure serves, as advantages: of max@k for `best_of(k)`, which is pass@k
/// for rewards 0 and 1, and of the mean for `standard()`.
///
/// `U` is what `expected_reward` estimates: the mean over all N-subsets of the m rollouts of the reward that is served.
/// `U_{-i}` is that without rollout i. With a baseline, `A_i = m·(U - U_{-i})`. Without one, `A_i = m·(U - (1 - N/m)·U_{-i})`,
/// which is N times the mean over the subsets that hold i. Either way the mean of `A_i·∇log π(y_i)` over the rollouts is an
/// unbiased estimate of the gradient. For `standard()` it is `leave_one_out_advantage`, or the reward.
///
/// In PKPO's terms for `best_of(k)`: `none` gives `n·s_i`, `leave_one_out` n times `s_i` less its leave-one-out baseline
/// `(k/n)·max@k(r_{-i})`; `max_at_k_advantage` has the baseline of subsets, and less variance.
///
/// - Shapes: `rewards` and `out` P groups of the same lengths m ≥ N + 1, without baseline m ≥ N; `out` may be `rewards`.
/// - Ties get equal advantages; with a baseline, rewards that are all equal give exactly 0. NaN and infinities are an error.
/// - Cost: O(m·log m) by sorting, and m evaluations of the procedure for all prompts of one shape (rows), or for each (ragged).
/// - Errors: `shape_error`, `domain_error`, before anything is written. A procedure without `from_count` does not compile.
/// - Error, besides the rounding of the result: `16·m·N·2⁻⁵³·(max r - min r)`; without a baseline `16·m·N·2⁻⁵³·max|r|`.
/// - Source: derived; for max@k Walder and Karkhanis, Pass@K Policy Optimization, arXiv 2505.15201.
template <backend B, grouped Rewards, class Procedure, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void expected_reward_advantage(B&& on, const Rewards& rewards, const Procedure& procedure, const Out& out,
                               subset_baseline baseline = subset_baseline::leave_one_out) {
  detail::expects_procedure<Procedure>();
  detail::expects_unbiased<Procedure>();
  const bool left_out = baseline == subset_baseline::leave_one_out;
  const index_t drawn = detail::samples_needed(procedure);
  const index_t needed = drawn + (left_out ? 1 : 0);
  detail::check_advantage(on, "expected_reward_advantage", rewards, out, missing_reward::refused(), needed, "fewer than the ",
                          needed, " that its procedure and baseline take");
  if (rewards.empty()) return;
  auto frame = on.scratch();
  const auto weights =
      detail::make_group_tables(on, frame, rewards, 2, 0, detail::left_out_rule<Procedure>{procedure, drawn, left_out});
  detail::run_level_sums(on, frame, rewards, out, detail::own_reward{}, weights);
}

}  // namespace infalign
