// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/level_sums.hpp"

namespace infalign {

namespace detail {
template <class Sorted, class Rewards, class Out>
struct served_weights_kernel {
  Sorted sorted;
  Rewards rewards;
  Out out;
  group_tables shares;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto x = sorted[g];
    const auto y = rewards[g];
    const auto result = out[g];
    const double* const share = shares.of(sorted, g);
    team.items(x.size(), [&](index_t i) {
      const value_ranks ranks = ranks_among_sorted(x.data(), x.size(), y[i]);
      const auto tied = static_cast<double>(ranks.at_or_below - ranks.below);  // 0 for NaN where nobody looked for it
      const double weight = (share[ranks.at_or_below] - share[ranks.below]) / (tied > 0 ? tied : 1);
      result[i] = static_cast<S>(static_cast<compute_t<S>>(weight));
    });
  }
};
template <class S, class R, class O>
served_weights_kernel(S, R, O, group_tables) -> served_weights_kernel<S, R, O>;
}  // namespace detail

/// The probability of each of the m samples of a prompt to be what a procedure serves, over all subsets of N of them: the weights with
/// which `weighted_sft` distils the procedure. For `best_of(n)` and m samples, the i-th smallest has `binom(i-1, n-1)/binom(m, n)`.
///
/// `Σ_i w_i·∇log π(y_i)` over samples of the base policy is an unbiased estimate of the gradient of `E log π(y)` over what is served of
/// the base, of less variance than the best of one subset, and unequal weights use every sample.
///
/// - Shapes: `rewards` and `out` P groups of the same lengths m ≥ N; `out` may be `rewards`. Weights of a prompt add up to 1.
/// - Ties share their weight equally. Cost: O(m·log m) by sorting. A procedure without `from_count` gets its plug-in shares `G(i/m)`.
/// - Errors: `shape_error`; `domain_error` for NaN or infinity. Source: derived, as `expected_reward`.
template <backend B, grouped Rewards, class Procedure, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void served_weights(B&& on, const Rewards& rewards, const Procedure& procedure, const Out& out) {
  detail::expects_procedure<Procedure>();
  const index_t drawn = detail::samples_needed(procedure);
  detail::check_advantage(on, "served_weights", rewards, out, missing_reward::refused(), drawn, "fewer than the ", drawn,
                          " that its procedure draws");
  if (rewards.empty()) return;
  auto frame = on.scratch();
  const auto shares = detail::make_group_tables(on, frame, rewards, 1, 1, detail::share_rule<Procedure>{procedure});
  const auto sorted = detail::sorted_groups(on, frame, rewards);
  on.groups(rewards.size(), 32 * rewards.total(),
            detail::served_weights_kernel{sorted, any_groups(rewards), any_groups(out), shares});
}

}  // namespace infalign
