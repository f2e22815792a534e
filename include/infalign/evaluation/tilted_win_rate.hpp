// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the optimal policy of KL-regularised RL wins, in closed form, from samples of the base policy alone: no training.
#pragma once

#include <cmath>
#include <string_view>
#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/sorted_groups.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/procedure/procedure.hpp"

namespace infalign {

namespace detail {

/// One prompt: rewards in ascending order carry the probabilities `e^{R/β}/Σ` under the policy and `1/K` under the base.
template <class Sorted, class Procedure, class BaseProcedure>
struct tilted_win_rate_kernel {
  Sorted sorted;
  double beta;
  Procedure procedure;
  BaseProcedure base_procedure;
  double* win_rate;
  double* kl;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    using std::exp;
    using std::log;
    const auto r = sorted[g];
    const index_t n = r.size();
    const auto exponent = [&](index_t i) { return (static_cast<double>(r[i]) - static_cast<double>(r[n - 1])) / beta; };
    const double normalizer = team.sum_items(n, [&](index_t i) { return exp(exponent(i)); });
    const double mean = team.sum_items(n, [&](index_t i) { return exp(exponent(i)) / normalizer * bounded(exponent(i)); });
    const double divergence = mean - log(normalizer / static_cast<double>(n));
    team.once([&] {
      if (kl != nullptr) kl[g] = divergence < 0 ? 0 : divergence;
      win_rate[g] = win(r, normalizer, exponent);
    });
  }

 private:
  /// exp of less than -745 is 0 in double; 0·(-inf) must not be formed.
  INFALIGN_HD static double bounded(double exponent) { return exponent < -1000 ? -1000 : exponent; }

  template <class Group, class Exponent>
  INFALIGN_HD double win(Group r, double normalizer, const Exponent& exponent) const {
    using std::exp;
    const auto n = r.size();
    double sum = 0, weight = 0, served = 0, base_served = 0;
    for (index_t i = 0; i < n;) {
      index_t end = i;
      do  // a NaN, on a backend that does not look, equals not even itself
        weight += exp(exponent(end)) / normalizer;
      while (++end < n && r[end] == r[i]);
      const double next = end == n ? 1.0 : procedure.distortion(weight < 1 ? weight : 1);
      const double base_next = base_procedure.distortion(static_cast<double>(end) / static_cast<double>(n));
      sum += (next - served) * 0.5 * (base_served + base_next);
      served = next;
      base_served = base_next;
      i = end;
    }
    return sum;
  }
};

}  // namespace detail

/// Win rate and KL of the policy that maximises `E[R] - β·KL(π‖π₀)`, when the base policy is uniform on the samples of each
/// prompt: `p_i = e^{R_i/β} / Σ_j e^{R_j/β}`, `KL = Σ_i p_i·log(K·p_i)`, and with the policy's CDF `F` and the base's `Q` over
/// the distinct values `t` of R, `W = Σ_t [G_π(F(t)) - G_π(F(t⁻))]·[G_base(Q(t)) + G_base(Q(t⁻))]/2`.
///
/// - Shapes: `rewards` P groups of K ≥ 1 values to be maximised: `Φ(u)`, or raw rewards; `win_rate` P values; `kl` P values or
///   empty. Only the order of the rewards and their scale against β matter, so Φ must be increasing.
/// - `β > 0`, of any size: the largest exponent is taken out first.
/// - Exact for that finite base. As an estimate for the true base policy it is optimistic, by an amount that shrinks with K:
///   the policy is tuned to the very samples it is measured on, and its KL cannot pass `log K`.
/// - Ties count ½. Errors: `shape_error`, `domain_error`, before anything is written. Cost: O(K log K) a prompt.
/// - Source: InfAlign (arXiv 2412.19792) for the optimum; the finite win rate is derived.
template <backend B, grouped Rewards, class Procedure, class BaseProcedure, class WinRate, class Kl>
  requires reachable_from<B, Rewards>
void tilted_win_rate(B&& on, const Rewards& rewards, kl_weight beta, const Procedure& procedure,
                     const BaseProcedure& base_procedure, WinRate&& win_rate, Kl&& kl) {
  detail::expects_procedure<Procedure>();
  detail::expects_procedure<BaseProcedure>();
  constexpr std::string_view function = "tilted_win_rate";
  const span wins(win_rate);
  const span divergence(kl);
  static_assert(reachable_from<B, decltype(wins), decltype(divergence)>, "the views must live in the memory of the backend");
  detail::expects_groups(on, function, "rewards", rewards);
  detail::expects_group_sizes(on, function, "rewards", rewards, 1, "a policy needs at least one");
  expects<shape_error>(wins.size() == rewards.size(), function, "win_rate has ", wins.size(), " values, but rewards has ",
                       rewards.size(), " groups");
  detail::expects_span(function, "win_rate", wins);
  detail::expects_span(function, "kl", divergence);
  detail::expects_apart(function, "win_rate", wins, "rewards", rewards);
  detail::expects_apart(function, "kl", divergence, "rewards", rewards);
  detail::expects_apart(function, "kl", divergence, "win_rate", wins);
  expects<shape_error>(divergence.empty() || divergence.size() == rewards.size(), function, "kl has ", divergence.size(),
                       " values, but rewards has ", rewards.size(), " groups");
  expects<domain_error>(beta.value > 0, function, "beta is ", beta.value, ", must be positive");
  detail::expects_finite(on, function, "rewards", rewards);
  auto frame = on.scratch();
  const auto groups = detail::sorted_groups(on, frame, rewards);
  on.groups(rewards.size(), 64 * rewards.total(),
            detail::tilted_win_rate_kernel<std::remove_const_t<decltype(groups)>, Procedure, BaseProcedure>{
                groups, beta.value, procedure, base_procedure, wins.data(), divergence.data()});
}

}  // namespace infalign
