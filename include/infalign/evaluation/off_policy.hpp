// SPDX-License-Identifier: Apache-2.0
/// \file
/// Off-policy evaluation: KL and win rates of the optimal policy, predicted from the rewards of base samples alone.
///
/// \code
/// const auto expected = evaluate_off_policy(on, base_rewards, exponential(10), kl_weight(4000), best_of(4), best_of(4));
/// expected.kl.corrected.value;                           // ± .standard_error, over prompts
/// expected.inference_win_rate.corrected.interval(0.95);
/// if (!expected.reliable()) …                            // too few samples where the policy would put its mass
/// \endcode
#pragma once

#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/evaluation/detail/run_off_policy.hpp"
#include "infalign/evaluation/off_policy_evaluation.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// Predicts what the policy that maximises `E[Φ(C)] - β·KL(π‖π₀)` will be worth, `C` being the calibrated reward: its KL, its
/// standard win rate, and its win rate when `procedure` is run on it and `base_procedure` on the base policy. Nothing is
/// trained and nothing sampled from the policy: the rewards of K samples of the base policy for each prompt are enough.
///
/// Each prompt gives two values of each number. The plug-in takes the samples for the base policy: mid-ranks for `C`, then the
/// formulas of `tilted_win_rate`. The prediction starts from `θ_K`, which differs in the values that occur once: where their
/// neighbours show no ties either they count as values of a continuum, and `Φ` is followed across their cells. `θ_K` has a bias
/// of about `a/K`, and the delete-one jackknife takes it out: `K·θ_K - (K-1)·mean_i θ_{K-1}(without sample i)`. An example is
/// worked out in `detail/off_policy_kernels.hpp`.
///
/// The results are means over prompts with standard errors `sd/√P`: the prompt is the unit of sampling. They carry the range of
/// their quantity, [0, 1] for win rates and [0, ∞) for the KL.
///
/// Remaining bias, measured against the exact value (`tests/evaluation/off_policy_test.cpp` holds it):
/// - Continuous rewards: KL and win rates are then the same for every prompt, and the prediction is exact but for the pieces that
///   cells are cut into, `K·min(K, 1024/K)` or K in all: a relative error of about `(Φ'/β)²/(24·pieces²)`, three times that for
///   K ≤ 32. At KL ≤ 1.5, a single prompt with K = 16 is right within 0.012, with K ≥ 32 within 0.001.
/// - Reward levels (ties): of order 1/K² once every level has been sampled several times. Of the win rate under best-of-4 on both
///   sides at β = 0.1, with the plug-in's in brackets:
///
///       probabilities of the levels       K = 8             K = 32            K = 64
///       0.1, 0.2, 0.4, 0.2, 0.1   +0.001 (-0.118)   +0.012 (-0.013)   +0.003 (-0.004)
///       0.6, 0.3, 0.1             -0.030 (-0.137)   +0.019 (-0.016)   +0.004 (-0.003)
///       0.5, 0.5                  +0.010 (+0.023)   -0.000 (+0.006)    0.000 (+0.003)
///       0.9, 0.1                  -0.046 (-0.190)   +0.042 (-0.011)   +0.004 (+0.003)
///       0.99, 0.01                -0.416 (-0.445)   -0.237 (-0.349)   -0.089 (-0.251)
///
///   `off_policy_value::interval` allows for it, and `reliable()` is false where it cannot, as in most of the last two rows.
/// - Coverage of 95 % intervals: in at least 92 % of 4,000 data sets they hold the true value or the evaluation is marked, in each of
///   600 settings: continuous rewards, the levels above, pass rates that vary, ragged and equal samples, β from 1 to 0.02, K from 4 to
///   128, and 2 to 200 prompts (tests/evaluation/off_policy_coverage_test.cpp). Among those that are not marked it is at least 94 % in
///   the settings of tests/coverage/predictions.cpp, but for pass rates that vary at 20 prompts, β = 0.1 and K = 32: 72 % are marked, and
///   of the others 82 % hold the win rate of best-of-4. What is barely not marked is to be read as marked.
/// - The corrected win rate of one prompt may lie outside [0, 1], and its KL below 0. Nothing is clipped: that would bias the
///   means.
///
/// - Shapes: `rewards` P ≥ 1 groups of K ≥ 2 rewards of base samples; `prompts` (optional) receives the values of each prompt.
/// - `Φ` increasing, finite on (0, 1); `β > 0`, of any size. Ties count ½. Of the procedures, which may draw up to 2^30 samples,
///   only `distortion` is used.
/// - Cost: O(R·D) a prompt for D pieces (distinct values, or up to 1024 where there are none) and R ≤ K distinct ways to leave a
///   sample out: one without ties, as many as values if all are tied; O(K²) at worst. Waits for the result.
/// - Errors: `shape_error`, `domain_error`, before anything is written. The distinct values of a prompt times R must be at most
///   2^27, which takes some seconds; 11,500 values are enough for any R.
/// - Source: derived. The jackknife: Quenouille, Biometrika 43 (1956); Efron and Stein, Annals of Statistics 9 (1981). The
///   optimum: InfAlign (arXiv 2412.19792).
template <backend B, grouped Rewards, class Transform, class Procedure, class BaseProcedure>
  requires reachable_from<B, Rewards>
off_policy_evaluation evaluate_off_policy(
    B&& on, const Rewards& rewards, const Transform& transform, kl_weight beta, const Procedure& procedure,
    const BaseProcedure& base_procedure,
    const off_policy_prompts<typename std::remove_cvref_t<B>::memory_space>& prompts = {}) {
  detail::expects_transform<Transform>();
  const auto form = kernel_form(transform);
  static_assert(usable_in<std::remove_const_t<decltype(form)>, typename std::remove_cvref_t<B>::memory_space>,
                "the table of the transform must live in the memory of the backend");
  return detail::evaluate_objective_off_policy(on, rewards,
                                               detail::calibrated_objective<std::remove_const_t<decltype(form)>>{form}, beta,
                                               procedure, base_procedure, prompts);
}

/// The same for the policy that maximises `E[R] - β·KL(π‖π₀)` with the values as they are: `rewards` holds `R` of the base
/// samples, raw rewards for ordinary RLHF. Cells are not divided, and leaving out one sample differs from leaving out another:
/// cost O(K²) a prompt, for at most 11,585 distinct values of it. The jackknife takes out the bias of order 1/K for continuous
/// rewards too. It cannot for the KL of heavy-tailed values at small β, where the largest sample carries everything: see
/// `reliable()`.
template <backend B, grouped Rewards, class Procedure, class BaseProcedure>
  requires reachable_from<B, Rewards>
off_policy_evaluation evaluate_off_policy(
    B&& on, const Rewards& rewards, kl_weight beta, const Procedure& procedure, const BaseProcedure& base_procedure,
    const off_policy_prompts<typename std::remove_cvref_t<B>::memory_space>& prompts = {}) {
  return detail::evaluate_objective_off_policy(on, rewards, detail::value_objective{}, beta, procedure, base_procedure,
                                               prompts);
}

}  // namespace infalign
