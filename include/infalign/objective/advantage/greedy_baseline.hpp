// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"

namespace infalign {

namespace detail {
template <class Rewards, class T, class Out>
struct greedy_baseline_kernel {
  Rewards rewards;
  const T* greedy;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto result = out[g];
    const auto baseline = static_cast<double>(greedy[g]);
    team.items(r.size(),
               [&](index_t i) { result[i] = static_cast<S>(static_cast<compute_t<S>>(static_cast<double>(r[i]) - baseline)); });
  }
};
template <class R, class T, class O>
greedy_baseline_kernel(R, const T*, O) -> greedy_baseline_kernel<R, T, O>;
}  // namespace detail

/// ReMax: the advantage of each rollout over the response that greedy decoding gives to its prompt: `A_i = r_i - greedy_p`. The
/// baseline does not depend on the rollout, so the policy gradient stays unbiased, and one rollout a prompt is enough.
///
/// Shapes: `rewards` and `out` P groups of the same lengths; `greedy` P rewards; `out` may be `rewards`. Cost: one pass. Errors:
/// `shape_error`; `domain_error` for NaN or infinity. Source: Li et al., ReMax, arXiv 2310.10505. Error, besides the rounding of
/// the result: `2⁻⁵³·|A|`.
template <backend B, grouped Rewards, class Greedy, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void greedy_baseline_advantage(B&& on, const Rewards& rewards, const Greedy& greedy, const Out& out) {
  constexpr const char* function = "greedy_baseline_advantage";
  const span baseline(greedy);
  static_assert(reachable_from<B, decltype(baseline)>, "the views must live in the memory of the backend");
  detail::check_advantage(on, function, rewards, out, missing_reward::refused(), 0);
  detail::expects_span(function, "greedy", baseline);
  expects<shape_error>(baseline.size() == rewards.size(), function, "greedy has ", baseline.size(), " values, but rewards has ",
                       rewards.size(), " groups");
  detail::expects_apart(function, "out", out, "greedy", baseline);
  detail::expects_finite(on, function, "greedy", baseline);
  on.groups(rewards.size(), rewards.total(),
            detail::greedy_baseline_kernel{any_groups(rewards), baseline.data(), any_groups(out)});
}

}  // namespace infalign
