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

#include <string_view>
#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/copy_formula.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/evaluation/detail/off_policy_kernels.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/statistics/estimate.hpp"
#include "infalign/statistics/summarize.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// A predicted number. The standard errors are over prompts, and say nothing of the bias.
struct off_policy_value {
  estimate corrected;  ///< the prediction: the bias of order 1/K is taken out
  /// What it would be if each prompt's samples were its base policy (`tilted_win_rate`). It is too optimistic, by about the
  /// difference of the two.
  estimate plug_in;
};

struct off_policy_evaluation {
  off_policy_value kl;
  off_policy_value standard_win_rate;
  off_policy_value inference_win_rate;
  /// How many of a prompt's samples carry the policy: `(Σe)²/Σe²` of their tilts `e = e^{R/β}` (Kish 1965). At most K. Near 1
  /// the policy is nearly all on one sample, and its KL near the largest that K samples can show, `log K`. Below 1 the policy's
  /// mass lies between samples.
  estimate effective_samples;
  /// Prompts with fewer than 4 effective samples.
  index_t thin_prompts = 0;

  /// Whether at most one prompt in twenty is thin. If more are, the prediction may be wrong: a reward level too rare to be
  /// sampled may hold much of the policy, and no correction finds it. Take more samples, or a larger β. Rewards known to be
  /// continuous have no such levels, and for them the prediction holds all the same.
  [[nodiscard]] bool reliable() const { return 20 * thin_prompts <= effective_samples.count; }
};

/// Where the corrected values and effective sample sizes of P prompts go. An empty span is not written.
template <class Space = host_memory>
struct off_policy_prompts {
  using memory_space = Space;
  span<double, Space> kl{};
  span<double, Space> standard_win_rate{};
  span<double, Space> inference_win_rate{};
  span<double, Space> effective_samples{};
};

namespace detail {

/// The summaries of the seven columns, and the number of thin prompts.
struct off_policy_summary_kernel {
  const double* columns;
  index_t prompts;
  summary* summaries;
  index_t* thin;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    constexpr double enough = 4;
    const double* column = columns + g * prompts;
    summary_kernel<double>{column, prompts, summaries + g}(team, 0);
    if (g < 6) return;
    const double count = team.sum_items(prompts, [&](index_t i) { return column[i] < enough ? 1.0 : 0.0; });
    team.once([&] { *thin = static_cast<index_t>(count); });
  }
};

template <class B, class Rewards, class Space>
void check_off_policy(B& on, std::string_view function, const Rewards& rewards, kl_weight beta,
                      const off_policy_prompts<Space>& prompts) {
  expects_groups(on, function, "rewards", rewards);
  expects<shape_error>(!rewards.empty(), function, "rewards is empty");
  expects_group_sizes(on, function, "rewards", rewards, 2, "at least two are needed, of which one is left out");
  const auto check = [&](std::string_view name, const auto& out, const auto&... others) {
    expects<shape_error>(out.empty() || out.size() == rewards.size(), function, name, " has ", out.size(),
                         " values, but rewards has ", rewards.size(), " groups");
    expects_span(function, name, out);
    expects_apart(function, name, out, "rewards", rewards);
    (expects_apart(function, name, out, "another array of prompts", others), ...);
  };
  check("prompts.kl", prompts.kl, prompts.standard_win_rate, prompts.inference_win_rate, prompts.effective_samples);
  check("prompts.standard_win_rate", prompts.standard_win_rate, prompts.inference_win_rate, prompts.effective_samples);
  check("prompts.inference_win_rate", prompts.inference_win_rate, prompts.effective_samples);
  check("prompts.effective_samples", prompts.effective_samples);
  expects<domain_error>(beta.value > 0, function, "beta is ", beta.value, ", must be positive");
  expects_finite(on, function, "rewards", rewards);
}

/// Errors: `domain_error` for a prompt that would take hours. `columns` holds three numbers a prompt.
template <class B, class Groups>
void expects_few_left_out_steps(B& on, std::string_view function, const Groups& sorted, bool by_rank, double* columns) {
  const index_t n = sorted.size();
  double* const ways = columns + n;
  double* const excess = columns + 2 * n;
  on.groups(n, sorted.total(), left_out_steps_kernel<Groups>{sorted, by_rank, columns, ways, excess});
  const index_t g = on.template first<double>(n, is_positive{excess});
  if (g == n) return;
  raise<domain_error>(function, "rewards[", g, "] has ", static_cast<index_t>(on.read(columns + g)), " distinct values and ",
                      static_cast<index_t>(on.read(ways + g)),
                      " distinct ways to leave a sample out, whose product must be at most ",
                      static_cast<index_t>(most_left_out_steps), ": take fewer samples of it");
}

template <class B, class Rewards, class Objective, class Procedure, class BaseProcedure, class Space>
off_policy_evaluation evaluate_objective_off_policy(B& on, const Rewards& rewards, const Objective& objective, kl_weight beta,
                                                    const Procedure& procedure, const BaseProcedure& base_procedure,
                                                    const off_policy_prompts<Space>& prompts) {
  expects_procedure<Procedure>();
  expects_procedure<BaseProcedure>();
  check_off_policy(on, "evaluate_off_policy", rewards, beta, prompts);
  using T = typename Rewards::value_type;
  const index_t n = rewards.size();
  auto frame = on.scratch();
  T* const sorted = frame.template take<T>(rewards.total());
  on.sort(rewards, sorted);
  const any_groups groups(packed_like<const T>(rewards, sorted));
  using Groups = std::remove_const_t<decltype(groups)>;
  double* const columns = frame.template take<double>(7 * n);
  expects_few_left_out_steps(on, "evaluate_off_policy", groups, Objective::divides_cells, columns);
  const auto column = [&](index_t i) { return columns + i * n; };
  const index_t mean_size = rewards.total() / n;
  on.groups(n, 64 * rewards.total() * (1 + mean_size / 8),
            off_policy_kernel<Groups, Objective, Procedure, BaseProcedure>{
                groups,
                objective,
                beta.value,
                procedure,
                base_procedure,
                frame.template take<index_t>(rewards.total() + 2 * n),
                frame.template take<tilted_values>(rewards.total() + 2 * n),
                {{column(0), column(1), column(2)}, {column(3), column(4), column(5)}, column(6)}});
  const auto keep = [&](index_t i, const span<double, Space>& to) {
    if (!to.empty()) on.template map<double>(n, copy_formula<double>{column(i), to.data()});
  };
  keep(0, prompts.kl);
  keep(1, prompts.standard_win_rate);
  keep(2, prompts.inference_win_rate);
  keep(6, prompts.effective_samples);
  auto* const summaries = frame.template take<summary>(7);
  auto* const thin = frame.template take<index_t>(1);
  on.groups(7, 7 * n, off_policy_summary_kernel{columns, n, summaries, thin});
  const auto mean = [&](index_t i, quantity_range range) { return estimate_of(on.read(summaries + i), range); };
  const auto value = [&](index_t i, quantity_range range) { return off_policy_value{mean(i, range), mean(i + 3, range)}; };
  return {value(0, not_negative_range), value(1, win_rate_range), value(2, win_rate_range), mean(6, not_negative_range),
          on.read(thin)};
}

}  // namespace detail

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
/// - Reward levels (ties): of order 1/K². For bases of three levels at K = 64, up to 0.0011, where the plug-in's is up to 0.012.
/// - A level of probability p on which a small β puts all mass must be among the samples: for two levels the relative bias of
///   the KL is -0.5, -0.1, +0.2, +0.15, +0.01 at `p·K` = 0.4, 0.8, 1.6, 3.2, 6.4 (the plug-in's -0.8, -0.5, -0.2, 0, +0.03). No
///   correction finds what was not sampled: see `reliable()`.
/// - The corrected win rate of one prompt may lie outside [0, 1], and its KL below 0. Nothing is clipped: that would bias the means.
///
/// - Shapes: `rewards` P ≥ 1 groups of K ≥ 2 rewards of base samples; `prompts` (optional) receives the values of each prompt.
/// - `Φ` increasing, finite on (0, 1); `β > 0`, of any size. Any procedures: only `distortion` is used. Ties count ½.
/// - Cost: O(R·D) a prompt for D pieces (distinct values, or up to 1024 where there are none) and R ≤ K distinct ways to leave a
///   sample out: one without ties, as many as values if all are tied; O(K²) at worst. Waits for the result.
/// - Errors: `shape_error`, `domain_error`, before anything is written. The distinct values of a prompt times R must be at most
///   2^29, which takes some seconds; 23,000 values are enough for any R.
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
/// cost O(K²) a prompt, for at most 23,170 distinct values of it. The jackknife takes out the bias of order 1/K for continuous
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
