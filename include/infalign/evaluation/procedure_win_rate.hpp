// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rates under inference-time procedures, from samples of both policies.
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/sorted_groups.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/calibration/rank_algorithm.hpp"
#include "infalign/evaluation/detail/win_rate_kernels.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/procedure/standard.hpp"

namespace infalign {

namespace detail {

template <class B, class Policy, class Base, class Out>
void check_win_rate(B& on, std::string_view function, const Policy& policy, index_t policy_needed, const Base& base,
                    index_t base_needed, const Out& out) {
  expects_groups(on, function, "policy_rewards", policy);
  expects_groups(on, function, "base_rewards", base);
  expects_same_count(function, "base_rewards", base, "policy_rewards", policy);
  expects_span(function, "out", out);
  expects<shape_error>(out.size() == policy.size(), function, "out has ", out.size(), " values, but policy_rewards has ",
                       policy.size(), " groups");
  expects_apart(function, "out", out, "policy_rewards", policy);
  expects_apart(function, "out", out, "base_rewards", base);
  const auto expects_enough = [&](std::string_view name, const auto& groups, index_t needed) {
    expects_group_sizes(on, function, name, groups, needed, "fewer than the ", needed, " that its procedure draws");
  };
  expects_enough("policy_rewards", policy, policy_needed);
  expects_enough("base_rewards", base, base_needed);
  expects_finite(on, function, "policy_rewards", policy);
  expects_finite(on, function, "base_rewards", base);
}

/// The win rates behind the checks, from the shares of both sides.
template <class B, class Frame, class Policy, class Base, class PolicyShare, class BaseShare>
void run_win_rate(B& on, Frame& frame, const Policy& policy, const Base& base, const PolicyShare& policy_share,
                  const BaseShare& base_share, double* out, rank_algorithm algorithm) {
  const index_t prompts = policy.size();
  const index_t m = policy.total() / prompts;
  const index_t k = base.total() / prompts;
  if (pairs_by_counting(on, algorithm, m, k))
    return on.groups(prompts, policy.total() * ((m + k) / 8 + 1),
                     win_rate_by_counting{any_groups(policy), any_groups(base), policy_share, base_share, out});
  on.groups(
      prompts, 4 * policy.total(),
      win_rate_of_sorted{sorted_groups(on, frame, policy), sorted_groups(on, frame, base), policy_share, base_share, out});
}

}  // namespace detail

/// Inference-time win rate of every prompt: the probability that the response served by `procedure` over the policy beats the
/// one served by `base_procedure` over the base policy, a tie counting ½.
///
/// With `A(t) = G_π(share of policy samples ≤ t)` and `B(t)` likewise from the base samples,
/// `out = Σ_t (A(t) - A(t⁻))·(B(t) + B(t⁻))/2` over the distinct values `t`. For a procedure with `from_count`
/// (all of the library's but `best_of_poisson`) the shares are those of subsets drawn without replacement, and the estimate is
/// unbiased: it equals the mean over all pairs of N-subsets. Resampling with replacement is biased. Procedures without `from_count` get the plug-in estimate.
///
/// - Shapes: `policy_rewards` and `base_rewards` P groups (rows or ragged) of at least N samples; `out` P values.
/// - Range: [0, 1] up to rounding. Ties count ½; NaN and infinities are an error.
/// - Cost: by sorting both sides, on `simd` many prompts at once in the lanes of registers up to 1024 samples, and merging; or by
///   comparing all pairs in registers, where that is less, as for few policy samples. Both give the same up to rounding in the last digits.
/// - Errors: `shape_error` (sizes, fewer than N samples, `out` overlapping rewards), `domain_error`, before anything is written.
/// - Source: derived from Balashankar et al., ICML 2025, as a two-sample U-statistic; N = 1 is the Mann–Whitney statistic.
template <backend B, grouped Policy, grouped Base, class Procedure, class BaseProcedure, class Out>
  requires reachable_from<B, Policy, Base>
void procedure_win_rate(B&& on, const Policy& policy_rewards, const Base& base_rewards, const Procedure& procedure,
                        const BaseProcedure& base_procedure, Out&& out, rank_algorithm algorithm = rank_algorithm::automatic) {
  detail::expects_procedure<Procedure>();
  detail::expects_procedure<BaseProcedure>();
  const span result(out);
  static_assert(reachable_from<B, decltype(result)>, "the views must live in the memory of the backend");
  static_assert(std::same_as<typename Policy::value_type, typename Base::value_type>, "rewards must have one type");
  detail::check_win_rate(on, "procedure_win_rate", policy_rewards, detail::samples_needed(procedure), base_rewards,
                         detail::samples_needed(base_procedure), result);
  if (policy_rewards.empty()) return;
  auto frame = on.scratch();
  const auto policy_share = detail::shares_of(on, frame, policy_rewards, procedure);
  const auto base_share = detail::shares_of(on, frame, base_rewards, base_procedure);
  detail::run_win_rate(on, frame, policy_rewards, base_rewards, policy_share, base_share, result.data(), algorithm);
}

/// The same with one procedure on both sides, as InfAlign defines the inference-time win rate.
template <backend B, grouped Policy, grouped Base, class Procedure, class Out>
void procedure_win_rate(B&& on, const Policy& policy_rewards, const Base& base_rewards, const Procedure& procedure, Out&& out) {
  procedure_win_rate(on, policy_rewards, base_rewards, procedure, procedure, out);
}

/// Standard win rate of every prompt: `(#{y > z} + ½·#{y = z}) / (m·m')`, the Mann–Whitney statistic.
template <backend B, grouped Policy, grouped Base, class Out>
void standard_win_rate(B&& on, const Policy& policy_rewards, const Base& base_rewards, Out&& out) {
  procedure_win_rate(on, policy_rewards, base_rewards, standard{}, standard{}, out);
}

}  // namespace infalign
