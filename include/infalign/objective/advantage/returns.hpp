// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/token_mask.hpp"

namespace infalign {

namespace detail {
template <class Rewards, class Weights, class Out>
struct returns_kernel {
  Rewards rewards;
  Weights weights;
  double discount;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto result = out[g];
    team.once([&] {
      double next = 0;
      for (index_t t = r.size() - 1; t >= 0; --t) {
        const bool token = weights(g, t) != 0;
        if (token) next = static_cast<double>(r[t]) + discount * next;
        result[t] = static_cast<S>(static_cast<compute_t<S>>(token ? next : 0.0));
      }
    });
  }
};
template <class R, class W, class O>
returns_kernel(R, W, double, O) -> returns_kernel<R, W, O>;
}  // namespace detail

/// The return of every token: its reward and the discounted rewards of the tokens after it, `G_t = r_t + γ·G_{t+1}`. With γ = 1
/// it is the reward to go. REINFORCE++ whitens it: see `whiten`.
///
/// Shapes: `rewards`, `out` and `mask` P responses of the same lengths, one value a token (masks of `float`, `double`,
/// `int32_t` or `int64_t`); `out` may be `rewards`. Values whose mask is 0 are not tokens: they are skipped, without a
/// discount, their rewards are not read, and they get 0. So padding may stand on either side, and tokens of a tool in between.
/// (There verl's `reinforce_plus_plus` begins anew, and OpenRLHF discounts.) Cost: one pass, a lane a response. Errors:
/// `shape_error`; `domain_error` for a γ outside [0, 1]; NaN and infinity are an error in `rewards` without a mask. Source: Hu
/// et al., REINFORCE++, arXiv 2501.03262. Error, besides the rounding of the result: `T·2⁻⁵³·Σ|r|` for T tokens.
template <backend B, grouped Rewards, writable_groups Out, class Mask = every_token>
  requires reachable_from<B, Rewards, Out>
void discounted_returns(B&& on, const Rewards& rewards, double discount, const Out& out, const Mask& mask = {}) {
  constexpr const char* function = "discounted_returns";
  expects<domain_error>(discount >= 0 && discount <= 1, function, "discount is ", discount, ", must be in [0, 1]");
  detail::expects_groups(on, function, "rewards", rewards);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_shape(on, function, "out", out, "rewards", rewards);
  detail::expects_apart_or_same(function, "out", out, "rewards", rewards);
  const auto weights = detail::check_mask(on, function, mask, "rewards", rewards, "out", out);
  if constexpr (std::same_as<Mask, every_token>) detail::expects_finite(on, function, "rewards", rewards);
  on.groups(rewards.size(), 4 * rewards.total(),
            detail::returns_kernel{any_groups(rewards), weights, discount, any_groups(out)});
}

}  // namespace infalign
