// SPDX-License-Identifier: Apache-2.0
/// \file
/// The steps of off-policy evaluation: checks, what prompts have in common, every prompt and its halves, and the means.
#pragma once

#include <string_view>
#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/copy_formula.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/evaluation/detail/off_policy_kernels.hpp"
#include "infalign/evaluation/off_policy_evaluation.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/statistics/summarize.hpp"

namespace infalign::detail {

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

}  // namespace infalign::detail
