// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/level_sums.hpp"
#include "infalign/objective/advantage/subset_baseline.hpp"

namespace infalign {

/// The gradient of the inference-time win rate itself, as advantages: no transform is chosen, and nothing is calibrated.
///
/// `W` is the probability that what `procedure` serves over the policy beats what `base_procedure` serves over the base policy,
/// a tie counting ½. `U` is its estimate by `procedure_win_rate`, the mean over all subsets of N of the m policy samples and
/// all subsets of the base samples, and `U_{-i}` that without policy sample i. With a baseline, `A_i = m·(U - U_{-i})`; without
/// one, `A_i = m·(U - (1 - N/m)·U_{-i})`, which is N times the mean over the subsets that hold i. Either way the mean of
/// `A_i·∇log π(y_i)` over the samples is an unbiased estimate of `∇W`: `U` is one of W, and what does not depend on y_i has no
/// correlation with `∇log π(y_i)`. For `standard()` on both sides it is `leave_one_out_advantage` of calibrated rewards.
///
/// - Variance of the gradient with the baseline, as a share of that without, for three policy samples against two of the base, by
///   enumeration over four responses with a tie (`tests/objective/served_advantages_test.cpp`): one sample served on both sides
///   .342; best of 2 .345; worst of 2 .185; best of 2 against worst of 2 .163; best of 2 against one .219.
/// - Shapes: `rewards` and `out` P groups of the same lengths m ≥ N + 1, without baseline m ≥ N; `base_rewards` P groups
///   of at least the samples that `base_procedure` draws; `out` may be `rewards`.
/// - Ties get equal advantages; if all policy samples are equal, those with a baseline are exactly 0. NaN and infinities are an
///   error.
/// - Cost: O((m + m')·log) by sorting, and m + m' evaluations of the procedures for all prompts of one shape (rows), or for
///   each (ragged).
/// - Errors: `shape_error`, `domain_error`, before anything is written. A procedure without `from_count` does not compile.
/// - Error, besides the rounding of the result: `16·m·N·2⁻⁵³`.
/// - Source: derived, for the win rate of Balashankar et al., InfAlign, ICML 2025.
template <backend B, grouped Policy, grouped Base, class Procedure, class BaseProcedure, writable_groups Out>
  requires reachable_from<B, Policy, Base, Out>
void win_rate_advantage(B&& on, const Policy& rewards, const Base& base_rewards, const Procedure& procedure,
                        const BaseProcedure& base_procedure, const Out& out,
                        subset_baseline baseline = subset_baseline::leave_one_out) {
  constexpr const char* function = "win_rate_advantage";
  detail::expects_procedure<Procedure>();
  detail::expects_procedure<BaseProcedure>();
  detail::expects_unbiased<Procedure>();
  detail::expects_unbiased<BaseProcedure>();
  static_assert(std::same_as<typename Policy::value_type, typename Base::value_type>, "rewards must have one type");
  const bool left_out = baseline == subset_baseline::leave_one_out;
  const index_t drawn = detail::samples_needed(procedure), base_drawn = detail::samples_needed(base_procedure);
  const index_t needed = drawn + (left_out ? 1 : 0);
  detail::check_advantage(on, function, rewards, out, missing_reward::refused(), needed, "fewer than the ", needed,
                          " that its procedure and baseline take");
  detail::expects_groups(on, function, "base_rewards", base_rewards);
  detail::expects_same_count(function, "base_rewards", base_rewards, "rewards", rewards);
  detail::expects_group_sizes(on, function, "base_rewards", base_rewards, base_drawn, "fewer than the ", base_drawn,
                              " that its procedure draws");
  detail::expects_apart(function, "out", out, "base_rewards", base_rewards);
  detail::expects_finite(on, function, "base_rewards", base_rewards);
  if (rewards.empty()) return;
  auto frame = on.scratch();
  const auto shares =
      detail::make_group_tables(on, frame, base_rewards, 1, 1, detail::share_rule<BaseProcedure>{base_procedure});
  const auto weights =
      detail::make_group_tables(on, frame, rewards, 2, 0, detail::left_out_rule<Procedure>{procedure, drawn, left_out});
  const detail::wins_against worth{detail::sorted_groups(on, frame, base_rewards), shares};
  detail::run_level_sums(on, frame, rewards, out, worth, weights);
}

}  // namespace infalign
