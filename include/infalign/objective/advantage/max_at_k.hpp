// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/core/binomial.hpp"
#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/level_sums.hpp"

namespace infalign {

namespace detail {
/// The weights of levels for what a sample adds to the maxima of the subsets that hold it: those of which it alone reaches the
/// level.
struct added_maximum_rule {
  index_t k;
  [[nodiscard]] INFALIGN_HD double operator()(index_t entry, index_t m) const {
    return entry % 2 == 1 ? 0 : static_cast<double>(k) * choose_ratio(entry / 2, m - 1, k - 1);
  }
};
}  // namespace detail

/// PKPO: the gradient of max@k, the expected maximum of k rewards (pass@k for rewards 0 and 1), as advantages of little
/// variance. The baseline of each subset is its maximum without the rollout: `A_i = n/binom(n,k)·Σ_{I∋i} (max_I r - max_{I∖i}
/// r) = n·(s_i - (k/n)·max@(k-1)(r_{-i}))`.
///
/// The mean of `A_i·∇log π(y_i)` over the n rollouts is an unbiased estimate of the gradient. Advantages are not negative: a
/// rollout that no subset needs has 0. `expected_reward_advantage` of `best_of(k)` has the weights `s_i` themselves and their
/// other baseline.
///
/// - Shapes: `rewards` and `out` P groups of the same lengths n ≥ k; `2 ≤ k`; `out` may be `rewards`.
/// - Ties get equal advantages; rewards that are all equal give exactly 0. NaN and infinities are an error.
/// - Cost: O(n·log n) by sorting, and n quotients of binomials for all prompts of one shape (rows), or for each (ragged).
/// - Errors: `shape_error`; `domain_error`, also for k < 2.
/// - Error, besides the rounding of the result: `16·n·k·2⁻⁵³·(max r - min r)`.
/// - Source: Walder and Karkhanis, Pass@K Policy Optimization, arXiv 2505.15201 (leave-one-out minus one).
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void max_at_k_advantage(B&& on, const Rewards& rewards, index_t k, const Out& out) {
  constexpr const char* function = "max_at_k_advantage";
  expects<domain_error>(k >= 2, function, "k is ", k, ", must be at least 2");
  detail::check_advantage(on, function, rewards, out, missing_reward::refused(), k, "fewer than k = ", k);
  if (rewards.empty()) return;
  auto frame = on.scratch();
  const auto weights = detail::make_group_tables(on, frame, rewards, 2, 0, detail::added_maximum_rule{k});
  detail::run_level_sums(on, frame, rewards, out, detail::own_reward{}, weights);
}

}  // namespace infalign
