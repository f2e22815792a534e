// SPDX-License-Identifier: Apache-2.0
/// \file
/// The expected reward under an inference-time procedure, from samples of a policy; pass@k, which is that of rewards 0 and 1.
#pragma once

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/sorted_groups.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/calibration/rank_algorithm.hpp"
#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/evaluation/detail/expected_reward_kernels.hpp"
#include "infalign/procedure/procedure.hpp"

namespace infalign {

namespace detail {

/// The expected rewards behind the checks, from the shares that are served.
template <class B, class Frame, class Rewards, class Share>
void run_expected_reward(B& on, Frame& frame, const Rewards& rewards, const Share& share, double* out,
                         rank_algorithm algorithm) {
  const index_t m = rewards.total() / rewards.size();
  if (pairs_by_counting(on, algorithm, m, 0))
    return on.groups(rewards.size(), rewards.total() * (m / 8 + 1),
                     expected_reward_by_counting{any_groups(rewards), share, out});
  on.groups(rewards.size(), 2 * rewards.total(), expected_reward_of_sorted{sorted_groups(on, frame, rewards), share, out});
}

}  // namespace detail

/// Expected reward of every prompt under a procedure: the mean reward of the response that it serves.
///
/// `out = Σ_t t·(G(share of samples ≤ t) - G(share < t))` over the distinct rewards `t`. For a procedure with `from_count` (all of
/// the library's but `best_of_poisson`) the shares are those of subsets drawn without replacement, and the estimate is unbiased: it
/// equals the mean over all N-subsets. For the rewards 0.1, 0.4, 0.4, 0.9, `best_of(2)` gives (0.4·3 + 0.9·3)/6 = 0.65, `standard()`
/// the mean. Of rewards 0 and 1, `best_of(k)` gives pass@k, and `worst_of(k)` the probability that all of k samples pass.
///
/// - Shapes: `rewards` P groups (rows or ragged) of at least N samples; `out` P values, in units of the reward.
/// - Range: between the smallest and the largest reward of the prompt, up to rounding of about `m·2⁻⁵³` times the largest magnitude of
///   its m rewards. Shares in log space (N > 64) add 1e-9 at m = 10^6, see `choose_ratio`.
/// - Ties share what is served of them. NaN and infinities are an error.
/// - Cost: by sorting, on `simd` many prompts at once in the lanes of registers up to 1024 samples, or by comparing all pairs in
///   registers, where that is less. Both give the same up to rounding.
/// - Errors: `shape_error` (sizes, fewer than N samples, `out` overlapping rewards), `domain_error`, before anything is written.
/// - Source: a U-statistic (Hoeffding 1948); for pass@k Chen et al., Evaluating Large Language Models Trained on Code (2021), eq. 1.
template <backend B, grouped Rewards, class Procedure, class Out>
  requires reachable_from<B, Rewards>
void expected_reward(B&& on, const Rewards& rewards, const Procedure& procedure, Out&& out,
                     rank_algorithm algorithm = rank_algorithm::automatic) {
  detail::expects_procedure<Procedure>();
  const span result(out);
  static_assert(reachable_from<B, decltype(result)>, "the views must live in the memory of the backend");
  constexpr const char* function = "expected_reward";
  detail::expects_groups(on, function, "rewards", rewards);
  detail::expects_span(function, "out", result);
  expects<shape_error>(result.size() == rewards.size(), function, "out has ", result.size(), " values, but rewards has ",
                       rewards.size(), " groups");
  detail::expects_apart(function, "out", result, "rewards", rewards);
  const index_t needed = detail::samples_needed(procedure);
  detail::expects_group_sizes(on, function, "rewards", rewards, needed, "fewer than the ", needed, " that its procedure draws");
  detail::expects_finite(on, function, "rewards", rewards);
  if (rewards.empty()) return;
  auto frame = on.scratch();
  detail::run_expected_reward(on, frame, rewards, detail::shares_of(on, frame, rewards, procedure), result.data(), algorithm);
}

/// pass@k of one prompt: the probability that at least one of k samples passes, from `successes` of `samples`. Unbiased.
///
/// `1 - binom(samples - successes, k)/binom(samples, k)`: of ten samples of which three passed, pass@5 is 1 - 21/252 = 0.9167. It is
/// `expected_reward` of `best_of(k)` for rewards 0 and 1.
///
/// - Range: [0, 1]. Error: 2e-14, beyond k = 64 that of `choose_ratio`. Cost: at most 64 divisions.
/// - Errors: `domain_error` unless `0 ≤ successes ≤ samples` and `1 ≤ k ≤ samples`.
/// - Source: Chen et al., Evaluating Large Language Models Trained on Code (2021), eq. 1.
[[nodiscard]] inline double pass_at_k(index_t samples, index_t successes, index_t k) {
  constexpr const char* function = "pass_at_k";
  expects<domain_error>(k >= 1, function, "k is ", k, ", must be at least 1");
  expects<domain_error>(samples >= k, function, "samples is ", samples, ", fewer than k = ", k);
  expects<domain_error>(successes >= 0 && successes <= samples, function, "successes is ", successes,
                        ", must be in 0 … samples = ", samples);
  return 1 - choose_ratio(samples - successes, samples, k);
}

}  // namespace infalign
