// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/objective/advantage/check.hpp"

namespace infalign {

/// What the best rollout is compared with.
enum class best_over { second, mean };

struct best_sample_options {
  best_over over = best_over::second;
  bool normalized = true;  ///< in units of the deviation (with Bessel's correction) plus `epsilon`
  double epsilon = 1e-6;   ///< in units of the reward; positive
};

namespace detail {
template <class Rewards, class Out>
struct best_sample_kernel {
  Rewards rewards;
  Out out;
  best_sample_options options;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using std::sqrt;
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto result = out[g];
    const index_t size = r.size();
    const auto n = static_cast<double>(size);
    const double near = team.sum_items(size, [&](index_t i) { return static_cast<double>(r[i]); }) / n;
    const double rest = team.sum_items(size, [&](index_t i) { return static_cast<double>(r[i]) - near; }) / n;
    const double squares = team.sum_items(size, [&](index_t i) {
      const double deviation = static_cast<double>(r[i]) - near - rest;
      return deviation * deviation;
    });
    const double scale = options.normalized ? 1 / (sqrt(squares / (n - 1)) + options.epsilon) : 1;
    team.once([&] {
      index_t best = 0;
      for (index_t i = 1; i < size; ++i)
        if (r[i] > r[best]) best = i;
      const auto largest = static_cast<double>(r[best]);
      double margin = largest - near - rest;
      for (index_t i = 0; i < size && options.over == best_over::second; ++i) {
        const double behind = largest - static_cast<double>(r[i]);
        if (i != best && (behind < margin || i == (best == 0 ? 1 : 0))) margin = behind;
      }
      for (index_t i = 0; i < size; ++i)
        result[i] = static_cast<S>(static_cast<compute_t<S>>(i == best ? margin * scale : 0.0));
    });
  }
};
template <class R, class O>
best_sample_kernel(R, O, best_sample_options) -> best_sample_kernel<R, O>;
}  // namespace detail

/// Only the best rollout of a prompt has an advantage, `(r₍₁₎ - r₍₂₎)/(sd + ε)`: verl's `grpo_passk`, where k is the size of
/// the group. Over the mean instead it is `(r₍₁₎ - mean)/(sd + ε)`. Without `normalized`, nothing is divided.
///
/// Over the second and without `normalized`, the sum of `A_i·∇log π(y_i)` over the n rollouts is an unbiased estimate of the
/// gradient of the expected maximum of n: `max_at_k_advantage` with k = n, divided by n. Otherwise it is biased.
///
/// Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2; `out` may be `rewards`. Ties: of several that are best, over the
/// second all get 0, over the mean the first one alone gets what there is. Cost: four passes, the last two by one lane. Errors:
/// `shape_error` for a group of fewer than 2; `domain_error` for NaN or infinity, or an ε that is not positive and finite. Source:
/// Tang et al., Optimizing Language Models for Inference Time Objectives, arXiv 2503.19595. Error, besides the rounding of the
/// result: `(n/2 + 8)·2⁻⁵³·max|r - mean|/(sd + ε)`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void best_sample_advantage(B&& on, const Rewards& rewards, const Out& out, const best_sample_options& options = {}) {
  constexpr const char* function = "best_sample_advantage";
  const double epsilon = options.epsilon;
  expects<domain_error>(epsilon > 0 && epsilon - epsilon == 0, function, "epsilon is ", epsilon,
                        ", must be positive and finite");
  detail::check_advantage(on, function, rewards, out, missing_reward::refused(), 2, "the best needs another one");
  on.groups(rewards.size(), 8 * rewards.total(), detail::best_sample_kernel{any_groups(rewards), any_groups(out), options});
}

}  // namespace infalign
