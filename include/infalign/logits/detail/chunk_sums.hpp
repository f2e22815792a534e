// SPDX-License-Identifier: Apache-2.0
/// \file
/// One pass over a chunk of a row of logits, for a team: the sums that it adds to the state of the row.
#pragma once

#include <cmath>
#include <concepts>

#include "infalign/backend/team.hpp"
#include "infalign/core/math.hpp"
#include "infalign/logits/detail/log_ratio.hpp"
#include "infalign/logits/logit_map.hpp"
#include "infalign/logits/row_state.hpp"

namespace infalign::detail {

template <class Terms, class T, class Team, class L>
INFALIGN_HD double chunk_maximum(Team& team, const L* values, [[maybe_unused]] const L* policy, index_t n,
                                 const logit_map& map) {
  using V = typename Team::template vec<T>;
  V top[4] = {V(-infinity<T>), V(-infinity<T>), V(-infinity<T>), V(-infinity<T>)};
  [[maybe_unused]] const logit_floor<Terms::mapped, V> kept(map.floor);
  team.template loop<T, 4>(n, [&](auto at, auto k) {
    prefetch(at, values);
    V value = at.load(values, -infinity<T>);
    if constexpr (Terms::mapped) value = kept(at.load(policy, -infinity<T>), value);
    top[k] = max(top[k], value);
  });
  return team.maximum(soft_cap<Terms::mapped, V>(map.cap)(max(max(top[0], top[1]), max(top[2], top[3]))));
}

/// `e^x - 1 - x`, given `x` of a size below 1/8, and its square. Of the Taylor series the first term left out is 7e-7 of the whole for
/// `float`, 4e-16 for `double`.
template <class V>
INFALIGN_HD V exp_remainder(V x, V squared) {
  if constexpr (std::same_as<typename lane<V>::type, double>)
    return squared *
           polynomial(x, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5);
  else
    return squared * polynomial(x, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5);
}

/// What one chunk adds to the sums of a row, and its largest logits.
struct chunk_sums {
  double top = 0;
  double base_top = 0;
  double sum = 0;
  double base_sum = 0;
  entropy_sums entropy;
  double weighted_ratio = 0;
  double divergence = 0;
};

/// The sums of an entropy. In every lane the largest term stands apart, and whatever is smaller has joined the rest.
template <class V>
struct entropy_lanes {
  using T = typename lane<V>::type;
  V top = V(-infinity<T>);  ///< the largest `d`
  V top_mass = V(0);
  V rest = V(0);
  V weighted = V(0);

  template <class At>
  INFALIGN_HD void add(const At& at, const V& e, const V& d) {
    const auto smaller = d < top;
    const V second = select(smaller, d, top);
    const V second_mass = select(smaller, e, top_mass);
    rest = rest + second_mass;
    weighted = at.add_where(weighted, second_mass > V(0), second_mass * second);
    top = select(smaller, top, d);
    top_mass = select(smaller, top_mass, e);
  }
  template <class Team>
  [[nodiscard]] INFALIGN_HD entropy_sums finish(Team& team, double origin, double scale) const {
    using std::exp;
    const double largest = team.maximum(top);
    const double mass = largest > -infinity<double> ? exp(largest) : 0;
    // Lanes whose largest term is not the largest of all join the rest. If it is that in several lanes, all of them but one do.
    const auto is_largest = top >= constant<V>(largest);
    const V others = select(is_largest, V(0), top_mass);
    const double ties = mass > 0 ? team.sum(select(is_largest, V(1), V(0))) - 1 : 0;
    const double tied = mass > 0 ? ties * mass * largest : 0;
    return {origin + largest / scale, team.sum(rest) + team.sum(others) + ties * mass,
            team.sum(weighted) + team.sum(select(others > V(0), V(others * top), V(0))) + tied};
  }
};

/// The sums of a KL, from both rows.
template <bool Mapped, class V>
struct divergence_sums {
  log_ratio<Mapped, V> ratio;
  V base_zero;
  V base_scale;
  logit_scale<Mapped, V> scale;
  V base_top = V(-infinity<typename lane<V>::type>);
  V base_sum = V(0);
  V weighted_ratio = V(0);
  V divergence = V(0);

  INFALIGN_HD explicit divergence_sums(const row_state& state)
      : ratio(state.policy.origin(), state.base.origin(),
              state.scale * (state.centre - (state.policy.origin() - state.base.origin())), state.scale),
        base_zero(constant<V>(state.base.origin())),
        base_scale(0),
        scale(state.scale) {
    const double of_base = state.base_scale();
    constexpr double largest = 1e30;  // with a larger one the divergence is left out: see finish_kl
    base_scale = constant<V>(of_base < largest ? of_base : infinity<double>);
  }

  /// Where `e^d` is 0 (a masked logit, or one far below the maximum), `e^d·x` is left out, since 0·inf would be NaN.
  INFALIGN_HD void add(const V& l, const V& e, const V& b) {
    const V base_e = natural_exp_bounded(V(scale(b - base_zero)));
    const V x = ratio(l, b);
    const V weighted = e * select(e > V(0), x, V(0));
    base_top = max(base_top, b);
    base_sum = base_sum + base_e;
    weighted_ratio = weighted_ratio + weighted;
    const V squared = x * x;
    divergence =
        divergence + select(squared < V(1.0 / 64), e * exp_remainder(x, squared), base_e * base_scale - (e + weighted));
  }
  template <class Team>
  INFALIGN_HD void finish(Team& team, chunk_sums& s) const {
    s.base_top = team.maximum(base_top);
    s.base_sum = team.sum(base_sum);
    s.weighted_ratio = team.sum(weighted_ratio);
    s.divergence = team.sum(divergence);
  }
};

/// One pass over a chunk, with the shifts and the centre of `state`. If `keep` is not null, it receives e^d.
template <class Terms, class T, class Team, class L>
INFALIGN_HOT INFALIGN_HD chunk_sums sum_chunk(Team& team, const L* row, const L* base, index_t n, const row_state& state,
                                              const logit_map& map, T* keep) {
  using V = typename Team::template vec<T>;
  const double origin = state.policy.origin();
  const V zero = constant<V>(origin);
  const logit_scale<Terms::mapped, V> scale(state.scale);
  const soft_cap<Terms::mapped, V> capped(map.cap);
  const logit_floor<Terms::mapped, V> kept(map.floor);
  V top(-infinity<T>), sum(0);
  [[maybe_unused]] entropy_lanes<V> entropy;
  [[maybe_unused]] divergence_sums<Terms::mapped, V> divergences(state);
  team.template loop<T>(n, [&](auto at, auto) {
    prefetch(at, row);
    const V stored = at.load(row, -infinity<T>), l = kept(stored, capped(stored));
    const V d = scale(l - zero);
    const V e = natural_exp_bounded(d);
    top = max(top, l);
    if (keep != nullptr) at.store(keep, e);
    sum = sum + e;
    if constexpr (Terms::entropy) entropy.add(at, e, d);
    if constexpr (Terms::kl) {
      prefetch(at, base);
      divergences.add(l, e, kept(stored, capped(at.load(base, -infinity<T>))));
    }
  });
  chunk_sums s;
  s.top = team.maximum(top);
  s.sum = team.sum(sum);
  if constexpr (Terms::entropy) s.entropy = entropy.finish(team, origin, state.scale);
  if constexpr (Terms::kl) divergences.finish(team, s);
  return s;
}

}  // namespace infalign::detail
