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

#include <algorithm>
#include <cmath>
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

/// A predicted number. The standard errors are over prompts, and say nothing of the bias: `interval` does.
struct off_policy_value {
  estimate corrected;  ///< the prediction: the bias of order 1/K is taken out
  /// What it would be if each prompt's samples were its base policy (`tilted_win_rate`). It is too optimistic, by about the
  /// difference of the two.
  estimate plug_in;
  double of_halves = infinity<double>;  ///< the prediction from half of the samples, mean of both halves; infinite for K < 4
  double unseen = 0;                    ///< how far a level may move it that was not sampled

  /// How much bias may be left: the difference to the prediction from half of the samples, or half of the correction if that is
  /// more. The bias left at K/2 is about four times that at K.
  [[nodiscard]] double bias() const {
    const double by_halves = std::abs(corrected.value - of_halves),
                 by_correction = 0.5 * std::abs(corrected.value - plug_in.value);
    return by_halves < infinity<double> && by_halves > by_correction ? by_halves : by_correction;
  }
  /// A two-sided interval at `level`: `corrected ± (t·standard_error + bias + unseen)`, cut to the range, with Student's t. More
  /// prompts shorten the first part alone, more samples a prompt all three. It never has width 0. With one prompt, whose error
  /// over prompts is unknown, it is the whole range. Errors: `domain_error` unless `level` is in (0, 1).
  [[nodiscard]] confidence_interval interval(double level = 0.95) const {
    const estimate unbounded{corrected.value, corrected.standard_error, corrected.count};
    const confidence_interval sampled = unbounded.interval(level);
    constexpr double least = 1e-9;
    const double more = bias() + unseen + least;
    const auto cut = [&](double x) { return std::clamp(x, corrected.lowest, corrected.highest); };
    return {cut(std::min(sampled.low - more, corrected.highest - least)),
            cut(std::max(sampled.high + more, corrected.lowest + least))};
  }
};

struct off_policy_evaluation {
  off_policy_value kl;
  off_policy_value standard_win_rate;
  off_policy_value inference_win_rate;
  /// How many of a prompt's samples carry the policy: `(Σe)²/Σe²` of their tilts `e = e^{R/β}` (Kish 1965). At most K. Near 1
  /// the policy is nearly all on one sample, and its KL near the largest that K samples can show, `log K`. Below 1 the policy's
  /// mass lies between samples. Where samples tie and other prompts show a better level, or no prompt shows more than one, it is
  /// counted as if such a level had been sampled once more: eight samples of the same reward tell nothing of a better one.
  estimate effective_samples;
  index_t thin_prompts = 0;   ///< prompts with fewer than 4 effective samples
  index_t blind_prompts = 0;  ///< those of them that are thin because of a level that was not sampled
  index_t small_prompts = 0;  ///< prompts with fewer than four samples, which have no halves to compare
  index_t tied_prompts = 0;   ///< prompts with samples that tie; of raw rewards, all. The others differ in nothing but their K

  /// Whether intervals hold what they promise; `doubt` says why they may not.
  [[nodiscard]] bool reliable() const { return doubt().empty(); }
  /// Why the samples cannot say, or nothing. The first that is true of:
  /// - A prompt has fewer than four samples, so that its halves say nothing of the bias.
  /// - More than one prompt in twenty is thin. Whether most of those are blind is told apart.
  /// - There are fewer than twelve prompts, and samples tie. Without ties one prompt says as much as many.
  ///
  /// Take more samples a prompt, a larger β, or more prompts. Rewards known to be continuous have no levels that are missed: if
  /// none tie, a prediction for thin prompts holds all the same.
  [[nodiscard]] std::string_view doubt() const {
    if (small_prompts > 0) return "a prompt has fewer than four samples";
    if (20 * thin_prompts > effective_samples.count)
      return 2 * blind_prompts > thin_prompts ? "a better reward that was not sampled could hold much of the policy"
                                              : "too few samples where the policy would put its mass";
    return effective_samples.count < 12 && tied_prompts > 0 ? "fewer than twelve prompts" : "";
  }
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

/// Errors: `domain_error` for a prompt that would take too long. `columns` holds three numbers a prompt.
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

/// The means over prompts.
inline off_policy_evaluation evaluation_of(const off_policy_sums& of) {
  const auto mean = [&](int i, quantity_range range) { return estimate_of(of.summaries[i], range); };
  const auto value = [&](int i, quantity_range range) {
    return off_policy_value{mean(i, range), mean(i + 3, range), of.summaries[i + 12].mean, of.summaries[i + 6].mean};
  };
  return {value(0, not_negative_range),
          value(1, win_rate_range),
          value(2, win_rate_range),
          mean(9, not_negative_range),
          of.thin,
          of.blind,
          of.small,
          of.tied};
}

/// What is shared where all prompts are here; see off_policy_part.hpp.
struct no_others {};

template <class B, class Rewards, class Objective, class Procedure, class BaseProcedure, class Space, class Share = no_others>
off_policy_evaluation evaluate_objective_off_policy(B& on, const Rewards& rewards, const Objective& objective, kl_weight beta,
                                                    const Procedure& procedure, const BaseProcedure& base_procedure,
                                                    const off_policy_prompts<Space>& prompts, const Share& share = {}) {
  constexpr bool alone = std::is_same_v<Share, no_others>;
  expects_procedure<Procedure>();
  expects_procedure<BaseProcedure>();
  expects_few_samples("evaluate_off_policy", "procedure", procedure);
  expects_few_samples("evaluate_off_policy", "base_procedure", base_procedure);
  if constexpr (!alone)
    if (rewards.empty()) return share(off_policy_pool{}), evaluation_of(share(off_policy_sums{}));
  check_off_policy(on, "evaluate_off_policy", rewards, beta, prompts);
  using T = typename Rewards::value_type;
  constexpr bool divided = Objective::divides_cells;
  const index_t n = rewards.size(), total = rewards.total();
  auto frame = on.scratch();
  T* const sorted = frame.template take<T>(total);
  on.sort(rewards, sorted);
  const any_groups groups(packed_like<const T>(rewards, sorted));
  constexpr index_t values = 12;  // a prompt: off_policy_columns
  double* const columns = frame.template take<double>((values + 6) * n);
  const auto column = [&](index_t i) { return columns + i * n; };
  expects_few_left_out_steps(on, "evaluate_off_policy", groups, divided, columns);
  auto* const pooled = frame.template take<off_policy_pool>(1);
  on.groups(n, n, ends_kernel<std::remove_const_t<decltype(groups)>>{groups, column(0), column(1), column(2)});
  on.groups(1, 3 * n, pooled_kernel{column(0), column(1), column(2), n, pooled});
  if constexpr (!alone) *pooled = share(*pooled);
  auto* const positions = frame.template take<index_t>(total + 4 * n);
  auto* const left_out = frame.template take<tilted_values>(total + 4 * n);
  const auto evaluate = [&](const auto& of, const off_policy_columns& to) {
    using Groups = std::remove_cvref_t<decltype(of)>;
    on.groups(of.size(), 64 * total * (1 + total / of.size() / 8),
              off_policy_kernel<Groups, Objective, Procedure, BaseProcedure>{of, objective, beta.value, procedure,
                                                                             base_procedure, positions, left_out, pooled, to});
  };
  evaluate(groups, {{column(0), column(1), column(2)},
                    {column(3), column(4), column(5)},
                    {column(6), column(7), column(8)},
                    column(9),
                    column(10),
                    column(11)});
  // The same of the first half of every prompt's samples and of the second.
  T* const copy = frame.template take<T>(total);
  auto* const offsets = frame.template take<index_t>(2 * n + 1);
  const any_groups given(rewards);
  on.groups(n, total, halves_kernel<std::remove_const_t<decltype(given)>, T>{given, copy, offsets});
  const span<const index_t, Space> half_offsets(offsets, 2 * n + 1);
  on.sort(ragged<const T, Space>({copy, total}, half_offsets), sorted);
  double* const halves = column(values);
  evaluate(any_groups(ragged<const T, Space>({sorted, total}, half_offsets)),
           {{halves, halves + 2 * n, halves + 4 * n}, {}, {}, nullptr, nullptr, nullptr});

  const auto keep = [&](index_t i, const span<double, Space>& to) {
    if (!to.empty()) on.template map<double>(n, copy_formula<double>{column(i), to.data()});
  };
  keep(0, prompts.kl);
  keep(1, prompts.standard_win_rate);
  keep(2, prompts.inference_win_rate);
  keep(9, prompts.effective_samples);
  auto* const summaries = frame.template take<summary>(values + 3);
  auto* const counts = frame.template take<off_policy_sums>(1);
  on.groups(values, values * n, off_policy_summary_kernel{columns, n, summaries});
  on.groups(3, 6 * n, off_policy_summary_kernel{halves, 2 * n, summaries + values});
  on.groups(1, 3 * n,
            off_policy_count_kernel<std::remove_const_t<decltype(given)>>{given, column(9), column(10), column(11), counts});
  off_policy_sums sums = on.read(counts);
  for (index_t i = 0; i < values + 3; ++i) sums.summaries[i] = on.read(summaries + i);
  if constexpr (!alone) sums = share(sums);
  return evaluation_of(sums);
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
///   128, and 2 to 200 prompts (tests/evaluation/off_policy_coverage_test.cpp).
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
