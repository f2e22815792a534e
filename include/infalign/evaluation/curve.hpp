// SPDX-License-Identifier: Apache-2.0
/// \file
/// Expected rewards and win rates of best-of-N for all N = 1 … M in one pass over the samples.
///
/// \code
/// std::vector<double> curve(prompts * 64);
/// win_rate_curve(on, policy_rewards, base_rewards, rows<double>(curve.data(), prompts, 64));  // column N - 1 is best-of-N
/// \endcode
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/sorted_groups.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/calibration/rank_algorithm.hpp"
#include "infalign/core/error.hpp"
#include "infalign/evaluation/detail/curve_kernels.hpp"

namespace infalign {

/// Which of N samples is served along a curve.
enum class curve_of { best, worst };

/// What the base policy serves along a curve of win rates: of N samples as well, or always one.
enum class curve_base { same, one_sample };

namespace detail {

template <class B, class Groups, class Space>
void check_curve(B& on, std::string_view function, std::string_view name, const Groups& groups,
                 const rows<double, Space>& out) {
  expects_groups(on, function, name, groups);
  expects_groups(on, function, "out", out);
  expects_same_count(function, "out", out, name, groups);
  expects<shape_error>(out.columns() >= 1 || groups.empty(), function, "out has no columns, it needs one for every N");
  expects_apart(function, "out", out, name, groups);
  expects_group_sizes(on, function, name, groups, out.columns(), "fewer than the ", out.columns(),
                      " of the last column of out");
  expects_finite(on, function, name, groups);
}

/// The ranks of every value among a group, by whichever is faster.
template <class B, class Frame, class Values, class Among>
const value_ranks* ranks_of(B& on, Frame& frame, const Values& values, const Among& among, rank_algorithm algorithm) {
  auto* const ranks = frame.template take<value_ranks>(values.total());
  const index_t m = values.total() / values.size(), k = among.total() / among.size();
  if (by_counting(on, algorithm, k, m)) {
    on.groups(values.size(), values.total() * (k / 8 + 1), ranks_kernel{any_groups(values), any_groups(among), false, ranks});
    return ranks;
  }
  on.groups(values.size(), 8 * values.total(), ranks_kernel{any_groups(values), sorted_groups(on, frame, among), true, ranks});
  return ranks;
}

template <class B, class Frame, class Space, class Groups>
auto curve_side(B& on, Frame& frame, std::string_view function, std::string_view name, const Groups& groups,
                const value_ranks* ranks, index_t steps) {
  using side = typename curve_kernel<rows<double, Space>>::side;
  const auto offsets = shape<Groups>::offsets(groups);
  const group_extent sizes = extent_of(on, groups);
  curve_table table{nullptr, 0};
  if (steps > 0) table = make_curve_table(on, frame, function, name, sizes, steps);
  return side{ranks, offsets.data(), sizes.largest, table};
}

/// Values as doubles, packed.
template <class Groups>
struct widen_kernel {
  Groups groups;
  double* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto own = groups[g];
    double* const to = out + groups.offset(g);
    team.items(own.size(), [&](index_t i) { to[i] = static_cast<double>(own[i]); });
  }
};
template <class G>
widen_kernel(G, double*) -> widen_kernel<G>;

/// The curve of the mean of `gains` over what is served by rank of `rewards`.
template <class B, class Rewards, class Gains, class Space>
void run_gain_curve(B& on, std::string_view function, std::string_view name, const Rewards& rewards, const Gains& gains,
                    const rows<double, Space>& out, curve_of served, rank_algorithm algorithm) {
  auto frame = on.scratch();
  const value_ranks* const ranks = ranks_of(on, frame, rewards, rewards, algorithm);
  double* const gain = frame.template take<double>(gains.total());
  on.groups(gains.size(), gains.total(), widen_kernel{any_groups(gains), gain});
  const auto own = curve_side<B, decltype(frame), Space>(on, frame, function, name, rewards, ranks, out.columns());
  double* const coefficients = frame.template take<double>(rewards.total());
  on.groups(rewards.size(), rewards.total() * out.columns() / 4,
            curve_kernel<rows<double, Space>>{
                own, {nullptr, nullptr, 0, {nullptr, 0}}, gain, coefficients, served == curve_of::worst, out});
}

/// A backend on host memory that gives teams room to themselves. There a curve is made of sorted groups.
struct room_probe {
  template <class Team>
  void operator()(Team&, index_t, curve_place*) const {}
};
template <class B>
concept gives_room = requires(B& on) { on.template groups_with_room<curve_place>(0, 0, 0, room_probe{}); };

/// The curve of groups that are sorted first; `base` is null where nothing is compared. Steps of 0 for the base: it serves one sample.
template <class B, class Policy, class Base, class Space>
void run_sorted_curve(B& on, std::string_view function, const Policy& policy, const Base* base, index_t base_steps,
                      const rows<double, Space>& out, curve_of served) {
  auto frame = on.scratch();
  const group_extent sizes = extent_of(on, policy);
  const curve_table own =
      make_curve_table(on, frame, function, base == nullptr ? "rewards" : "policy_rewards", sizes, out.columns());
  curve_table of_base{nullptr, 0};
  if (base_steps > 0) of_base = make_curve_table(on, frame, function, "base_rewards", extent_of(on, *base), base_steps);
  const auto y = sorted_groups(on, frame, policy);
  const auto run = [&](const auto& z) {
    on.template groups_with_room<curve_place>(
        policy.size(), policy.total() * out.columns() / 4, sizes.largest,
        sorted_curve_kernel{y, z, base != nullptr, own, of_base, served == curve_of::worst, out});
  };
  if constexpr (std::same_as<Policy, Base>)
    run(base == nullptr ? y : sorted_groups(on, frame, *base));
  else
    run(sorted_groups(on, frame, *base));
}

}  // namespace detail

/// Expected reward of every prompt under best-of-N (or worst-of-N) for every N = 1 … M: `out[p][N - 1]` is what `expected_reward`
/// gives for `best_of(N)`. Of rewards 0 and 1 it is pass@N. Unbiased: the mean over all N-subsets.
///
/// - Shapes: `rewards` P groups (rows or ragged) of at least M samples; `out` P rows of M values.
/// - Ties share what is served of them. NaN and infinities are an error.
/// - Cost: sorting once, then m·M steps a prompt, several N at a time, and a table of (largest group + 1)·M numbers. For m = M = 64 about
///   that of five single N, of a win rate two to three. With ragged groups it waits for the largest size.
/// - Rounding: as `expected_reward`, but relative to the largest group: see `choose_ratio`.
/// - Errors: `shape_error` (sizes, groups of fewer than M samples, `out` overlapping rewards), `domain_error` (values; groups so
///   different in size that M-subsets of the smallest are fewer than 1e-250 of those of the largest), before anything is written.
/// - Source: as `expected_reward`; the table is derived.
template <backend B, grouped Rewards, class Space>
  requires reachable_from<B, Rewards>
void expected_reward_curve(B&& on, const Rewards& rewards, const rows<double, Space>& out, curve_of served = curve_of::best,
                           rank_algorithm algorithm = rank_algorithm::automatic) {
  static_assert(reachable_from<B, rows<double, Space>>, "the views must live in the memory of the backend");
  constexpr const char* function = "expected_reward_curve";
  detail::check_curve(on, function, "rewards", rewards, out);
  if (rewards.empty()) return;
  if constexpr (detail::gives_room<B>)
    if (!detail::pairs_by_counting(on, algorithm, rewards.total() / rewards.size(), 0))
      return detail::run_sorted_curve<B, Rewards, Rewards>(on, function, rewards, nullptr, 0, out, served);
  detail::run_gain_curve(on, function, "rewards", rewards, rewards, out, served, algorithm);
}

/// Inference-time win rate of every prompt for every N = 1 … M: `out[p][N - 1]` is what `procedure_win_rate` gives for `best_of(N)`
/// (or `worst_of(N)`) over the policy, against the same over the base policy or against one sample of it. Unbiased; ties count ½.
///
/// - Shapes: `policy_rewards` P groups of at least M samples; `base_rewards` P groups of at least M, or of at least one where the base
///   serves one sample; `out` P rows of M values.
/// - Cost: as `expected_reward_curve`.
/// - Errors: as `expected_reward_curve`.
/// - Source: as `procedure_win_rate`; the table is derived.
template <backend B, grouped Policy, grouped Base, class Space>
  requires reachable_from<B, Policy, Base>
void win_rate_curve(B&& on, const Policy& policy_rewards, const Base& base_rewards, const rows<double, Space>& out,
                    curve_of served = curve_of::best, curve_base base_serves = curve_base::same,
                    rank_algorithm algorithm = rank_algorithm::automatic) {
  static_assert(reachable_from<B, rows<double, Space>>, "the views must live in the memory of the backend");
  static_assert(std::same_as<typename Policy::value_type, typename Base::value_type>, "rewards must have one type");
  constexpr const char* function = "win_rate_curve";
  detail::check_curve(on, function, "policy_rewards", policy_rewards, out);
  const index_t steps = out.columns(), needed = base_serves == curve_base::same ? steps : 1;
  detail::expects_groups(on, function, "base_rewards", base_rewards);
  detail::expects_same_count(function, "base_rewards", base_rewards, "policy_rewards", policy_rewards);
  detail::expects_apart(function, "out", out, "base_rewards", base_rewards);
  detail::expects_group_sizes(on, function, "base_rewards", base_rewards, needed, "fewer than the ", needed,
                              " that are served of");
  detail::expects_finite(on, function, "base_rewards", base_rewards);
  if (policy_rewards.empty()) return;
  const index_t base_steps = base_serves == curve_base::same ? steps : 0, prompts = policy_rewards.size();
  if constexpr (detail::gives_room<B>)
    if (!detail::pairs_by_counting(on, algorithm, policy_rewards.total() / prompts, base_rewards.total() / prompts))
      return detail::run_sorted_curve(on, function, policy_rewards, &base_rewards, base_steps, out, served);
  auto frame = on.scratch();
  using Frame = decltype(frame);
  const auto own =
      detail::curve_side<B, Frame, Space>(on, frame, function, "policy_rewards", policy_rewards,
                                          detail::ranks_of(on, frame, policy_rewards, policy_rewards, algorithm), steps);
  const auto base =
      detail::curve_side<B, Frame, Space>(on, frame, function, "base_rewards", base_rewards,
                                          detail::ranks_of(on, frame, policy_rewards, base_rewards, algorithm), base_steps);
  double* const coefficients = frame.template take<double>(policy_rewards.total());
  on.groups(policy_rewards.size(), policy_rewards.total() * steps / 2,
            detail::curve_kernel<rows<double, Space>>{own, base, nullptr, coefficients, served == curve_of::worst, out});
}

}  // namespace infalign
