// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>

#include "infalign/objective/advantage/token_mask.hpp"

namespace infalign {

/// The discount γ of rewards, and the decay λ of what later errors of the values add.
struct gae_options {
  double discount = 1;
  double decay = 0.95;
};

namespace detail {
template <class Rewards, class Values, class Weights, class Out>
struct generalized_kernel {
  Rewards rewards;
  Values values;
  Weights weights;
  gae_options options;
  Out advantages;
  Out returns;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using S = typename Out::value_type;
    const auto r = rewards[g];
    const auto v = values[g];
    const auto advantage = advantages[g];
    const auto value_target = returns[g];
    team.once([&] {
      double next_value = 0, next = 0;
      for (index_t t = r.size() - 1; t >= 0; --t) {
        const bool token = weights(g, t) != 0;
        const double value = token ? static_cast<double>(v[t]) : 0;
        if (token) {
          const double error = static_cast<double>(r[t]) + options.discount * next_value - value;
          next = error + options.discount * options.decay * next;
          next_value = value;
        }
        advantage[t] = static_cast<S>(static_cast<compute_t<S>>(token ? next : 0.0));
        value_target[t] = static_cast<S>(static_cast<compute_t<S>>(token ? next + value : 0.0));
      }
    });
  }
};
template <class R, class V, class W, class O>
generalized_kernel(R, V, W, gae_options, O, O) -> generalized_kernel<R, V, W, O>;
}  // namespace detail

/// GAE: the advantage of every token from a value function, `A_t = δ_t + γλ·A_{t+1}` with `δ_t = r_t + γ·V_{t+1} - V_t`, and
/// the returns `A_t + V_t` that the value function is trained to. Behind the last token V and A are 0. With λ = 1, `A_t` is the
/// return less `V_t`.
///
/// Shapes: `rewards`, `values`, `advantages`, `returns` and `mask` P responses of the same lengths, one value a token (masks of
/// `float`, `double`, `int32_t` or `int64_t`). The outputs are apart from the inputs and from each other. Values whose mask is 0
/// are not tokens: they are skipped, as in verl, are not read, and get 0. PPO whitens the advantages afterwards: see `whiten`.
/// Cost: one pass, a lane a response. Errors: `shape_error`; `domain_error` for γ or λ outside [0, 1]; without a mask, NaN and
/// infinity are an error. Source: Schulman et al., arXiv 1506.02438. Error, besides the rounding of the result: `T·2⁻⁵³·Σ(|r| +
/// 2·|V|)` for T tokens.
template <backend B, grouped Rewards, grouped Values, writable_groups Out, class Mask = every_token>
  requires reachable_from<B, Rewards, Values, Out>
void generalized_advantage(B&& on, const Rewards& rewards, const Values& values, const gae_options& options,
                           const Out& advantages, const Out& returns, const Mask& mask = {}) {
  constexpr const char* function = "generalized_advantage";
  const auto [discount, decay] = options;
  expects<domain_error>(discount >= 0 && discount <= 1, function, "discount is ", discount, ", must be in [0, 1]");
  expects<domain_error>(decay >= 0 && decay <= 1, function, "decay is ", decay, ", must be in [0, 1]");
  detail::expects_groups(on, function, "rewards", rewards);
  const auto check = [&](std::string_view name, const auto& groups) {
    detail::expects_groups(on, function, name, groups);
    detail::expects_same_shape(on, function, name, groups, "rewards", rewards);
  };
  check("values", values);
  check("advantages", advantages);
  check("returns", returns);
  for (const auto& [name, out] : {std::pair<std::string_view, Out>{"advantages", advantages}, {"returns", returns}}) {
    detail::expects_apart(function, name, out, "rewards", rewards);
    detail::expects_apart(function, name, out, "values", values);
  }
  detail::expects_apart(function, "returns", returns, "advantages", advantages);
  const auto weights = detail::check_mask(on, function, mask, "rewards", rewards, "advantages", advantages);
  if constexpr (!std::same_as<Mask, every_token>) detail::expects_apart(function, "returns", returns, "mask", mask);
  if constexpr (std::same_as<Mask, every_token>) {
    detail::expects_finite(on, function, "rewards", rewards);
    detail::expects_finite(on, function, "values", values);
  }
  on.groups(rewards.size(), 8 * rewards.total(),
            detail::generalized_kernel{any_groups(rewards), any_groups(values), weights, options, any_groups(advantages),
                                       any_groups(returns)});
}

}  // namespace infalign
