// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/preference/preference_loss.hpp"

namespace infalign {

namespace detail {
template <class Rewards>
struct best_and_worst_kernel {
  Rewards rewards;
  response_pair* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = rewards[g];
    team.once([&] {
      index_t best = 0, worst = 0;
      for (index_t i = 1; i < r.size(); ++i) {
        if (r[i] > r[best]) best = i;
        if (r[i] <= r[worst]) worst = i;
      }
      out[g] = {rewards.offset(g) + best, rewards.offset(g) + worst};
    });
  }
};
template <class R>
best_and_worst_kernel(R, response_pair*) -> best_and_worst_kernel<R>;
}  // namespace detail

/// The pair of the best and the worst response of every prompt, as BoNBoN takes them. Responses are counted through the prompts.
///
/// Shapes: `rewards` P groups of n ≥ 2; `pairs` P values. Ties: the first of the best and the last of the worst, so that the two are never
/// the same response. Cost: one pass by one lane. Errors: `shape_error`; `domain_error` for NaN or infinity.
template <backend B, grouped Rewards, class Pairs>
  requires reachable_from<B, Rewards>
void best_and_worst(B&& on, const Rewards& rewards, Pairs&& pairs) {
  constexpr const char* function = "best_and_worst";
  const span<response_pair, typename Rewards::memory_space> out = span(pairs);
  detail::expects_groups(on, function, "rewards", rewards);
  detail::expects_span(function, "pairs", out);
  expects<shape_error>(out.size() == rewards.size(), function, "pairs has ", out.size(), " values, but there are ",
                       rewards.size(), " prompts");
  detail::expects_group_sizes(on, function, "rewards", rewards, 2, "a pair needs at least two");
  detail::expects_apart(function, "pairs", out, "rewards", rewards);
  detail::expects_finite(on, function, "rewards", rewards);
  on.groups(rewards.size(), 2 * rewards.total(), detail::best_and_worst_kernel{any_groups(rewards), out.data()});
}

}  // namespace infalign
