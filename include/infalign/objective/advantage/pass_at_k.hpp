// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/core/binomial.hpp"
#include "infalign/objective/advantage/check.hpp"

namespace infalign {

namespace detail {

/// Neither 0 nor 1.
template <class T>
struct is_no_verdict {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    return !((v == V(0)) | (v == V(1)));
  }
};

template <class Rewards, class Out>
struct pass_at_k_kernel {
  Rewards rewards;
  Out out;
  index_t k;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using std::sqrt;
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto result = out[g];
    const auto n = static_cast<double>(r.size());
    const double passed = team.sum_items(r.size(), [&](index_t i) { return static_cast<double>(r[i]); });
    const double failed = n - passed;
    const double none = choose_ratio(static_cast<index_t>(failed), r.size(), k);
    const bool differ = none > 0 && none < 1;
    const double of_passed = differ ? sqrt(none / (1 - none)) : 0;
    const double of_failed = differ ? -passed / failed * of_passed : 0;
    team.items(r.size(), [&](index_t i) {
      result[i] = static_cast<S>(static_cast<compute_t<S>>(static_cast<double>(r[i]) != 0 ? of_passed : of_failed));
    });
  }
};
template <class R, class O>
pass_at_k_kernel(R, O, index_t) -> pass_at_k_kernel<R, O>;

}  // namespace detail

/// Analytic pass@k: group-normalised advantages of all k-subsets of a prompt's rollouts, without drawing any. The reward of a
/// subset is 1 if one of it passes. With the mean `R = 1 - binom(N₋,k)/binom(N,k)` of these rewards, their deviation `σ =
/// √(R(1-R))`, and N₋ of N rollouts that fail, a rollout gets the mean of `(R_I - R)/σ` over the subsets that hold it: `A⁺ =
/// (1-R)/σ` if it passes, and `A⁻ = (1 - R - binom(N₋-1,k-1)/binom(N-1,k-1))/σ = -(N₊/N₋)·A⁺` if it fails.
///
/// They sum to 0. Where no subset passes, or every one does, they are 0. Prompts are weighted by 1/σ, so the expectation is not
/// the gradient of pass@k; `max_at_k_advantage` and `expected_reward_advantage` of `best_of(k)` have no such bias.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ k; `1 ≤ k`; `out` may be `rewards`. Cost: two passes, and at most
/// 64 divisions a prompt. Errors: `shape_error` for a group of fewer than k; `domain_error` for k < 1 and for a reward that is
/// neither 0 nor 1. Source: Chen et al., Pass@k Training, arXiv 2508.10751. Relative error, besides the rounding of the result:
/// `500·2⁻⁵³/R`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void pass_at_k_advantage(B&& on, const Rewards& rewards, index_t k, const Out& out) {
  constexpr const char* function = "pass_at_k_advantage";
  expects<domain_error>(k >= 1, function, "k is ", k, ", must be at least 1");
  detail::check_advantage(on, function, rewards, out, missing_reward::refused(), k, "fewer than k = ", k);
  detail::expects_each<detail::is_no_verdict>(on, function, "rewards", rewards, "0 or 1");
  on.groups(rewards.size(), 2 * rewards.total() + 64 * rewards.size(),
            detail::pass_at_k_kernel{any_groups(rewards), any_groups(out), k});
}

}  // namespace infalign
