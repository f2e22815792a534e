// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a kernel may ask of a *team*: the lanes that work on one group together (the lanes of a SIMD register, a warp, a
/// block).
///
/// A kernel is one program that all lanes run. A variable of type `Team::vec<T>` differs from lane to lane; every other
/// variable is the same in all of them.
///
/// | member of a team        | meaning                                                                                   |
/// |-------------------------|-------------------------------------------------------------------------------------------|
/// | `vec<T>`                | what the lanes hold of a `T` together, a `lane_vector`: a `double`, a SIMD batch, registers of each thread |
/// | `positions<T>`          | the types that `at` may have, as a `position_types<…>`: whole registers and tails may differ |
/// | `loop<T, U>(n, f)`      | `f(at, k)` over positions `0 … n-1`; `k < U` tells which of `U` independent accumulators  |
/// | `items(n, f)`           | `f(i)` for single positions, spread over the lanes                                        |
/// | `sum_items(n, f)`       | the sum of the doubles `f(i)`, in all lanes                                               |
/// | `sum(v)`, `maximum(v)`  | reduction of a `vec` over the lanes, as a `double`, in all lanes                          |
/// | `count(c)`              | how often `count_where` held for `c`, over the lanes, as a `double`, in all lanes         |
/// | `once(f)`               | `f()` by one lane                                                                         |
/// | `chunk<T>()`            | a constant: how many elements to work through between two reductions, to stay in cache    |
///
/// Each call of a team's member sees what was stored by the calls before it.
///
/// | member of a position    | meaning                                                                                   |
/// |-------------------------|-------------------------------------------------------------------------------------------|
/// | `load(p, pad)`          | the vec at `p[position]`, converted from the stored type to `T`; `pad` (by default 0) where the positions end |
/// | `store(p, v)`           | its counterpart                                                                           |
/// | `add_where(sum, m, v)`  | `sum + v` where the mask is set, else `sum`                                               |
/// | `count_where(c, m)`     | counts the lanes in which the mask is set into `c`, a vec that begins as 0. A team may hold counts as it likes; up to 2^24 a lane are exact |
/// | `prefetch(p)`           | optional: asks memory for what lies a little behind `p[position]`                          |
/// | `load_on(p)`            | optional: `load` of an array that goes on for a register behind the last position; the lanes behind it hold what is there |
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "infalign/backend/lanes.hpp"
#include "infalign/core/config.hpp"

namespace infalign {

/// The types that a position of a loop may have.
template <class... At>
struct position_types {};

namespace contract {

struct step {
  template <class At, class K>
  INFALIGN_HD void operator()(At, K) const {}
};
struct item {
  INFALIGN_HD void operator()(index_t) const {}
};
struct term {
  INFALIGN_HD double operator()(index_t) const { return 0; }
};
struct action {
  INFALIGN_HD void operator()() const {}
};

template <class At, class V, class T>
concept has_load = requires(const At& at, const T* p, T pad) {
  { at.load(p) } -> std::convertible_to<V>;
  { at.load(p, pad) } -> std::convertible_to<V>;
};

template <class At, class V, class T>
concept has_store = requires(const At& at, T* p, const V& v) { at.store(p, v); };

template <class At, class V>
concept has_add_where = requires(const At& at, const V& v) {
  { at.add_where(v, v < v, v) } -> std::convertible_to<V>;
};

template <class At, class V>
concept has_count_where = requires(const At& at, const V& v) {
  { at.count_where(v, v < v) } -> std::convertible_to<V>;
};

}  // namespace contract

namespace detail {
/// For loops that read from memory once. Where they compute much, the processor does not look far enough ahead by itself. Measured on
/// Sapphire Rapids with AVX-512, 512 x 32,768 logits: loss and gradient take 10 ms instead of 11.5, the KL alone 11 instead of 25.
template <class At, class T>
INFALIGN_HD void prefetch([[maybe_unused]] const At& at, [[maybe_unused]] const T* p) {
  if constexpr (requires { at.prefetch(p); }) at.prefetch(p);
}

/// How many values an array must have behind its last position for `load_on`.
inline constexpr index_t read_on = 8;

/// For arrays that are read over and over by loops of few positions: a tail that is put together value by value takes several times as
/// long as a whole register. What is computed in the lanes behind the end is for nothing, and must not be reduced.
template <class At>
INFALIGN_HD auto load_on(const At& at, const double* p) {
  if constexpr (requires { at.load_on(p); })
    return at.load_on(p);
  else
    return at.load(p, 1.0);
}
}  // namespace detail

/// A position of a loop over values of type `T`, whose lanes are a `V`.
template <class At, class V, class T>
concept position_in = contract::has_load<At, V, T> && contract::has_store<At, V, T> && contract::has_add_where<At, V> &&
                      contract::has_count_where<At, V>;

namespace contract {

template <class List, class V, class T>
inline constexpr bool all_positions = false;
template <class... At, class V, class T>
inline constexpr bool all_positions<position_types<At...>, V, T> = sizeof...(At) > 0 && (position_in<At, V, T> && ...);

template <class Team>
concept has_vec = requires {
  typename Team::template vec<float>;
  typename Team::template vec<double>;
  typename Team::template vec<index_t>;
  typename Team::template vec<std::int32_t>;
};

template <class Team, class T>
concept has_positions = all_positions<typename Team::template positions<T>, typename Team::template vec<T>, T>;

template <class Team>
concept has_loop = requires(Team& team, index_t n) {
  team.template loop<float>(n, step{});
  team.template loop<double, 4>(n, step{});
};

template <class Team>
concept has_items = requires(Team& team, index_t n) { team.items(n, item{}); };

template <class Team>
concept has_sum_items = requires(Team& team, index_t n) {
  { team.sum_items(n, term{}) } -> std::same_as<double>;
};

template <class Team, class T>
concept has_sum = requires(Team& team, const typename Team::template vec<T>& v) {
  { team.sum(v) } -> std::same_as<double>;
};

template <class Team, class T>
concept has_maximum = requires(Team& team, const typename Team::template vec<T>& v) {
  { team.maximum(v) } -> std::same_as<double>;
};

template <class Team, class T>
concept has_count = requires(Team& team, const typename Team::template vec<T>& v) {
  { team.count(v) } -> std::same_as<double>;
};

template <class Team>
concept has_once = requires(Team& team) { team.once(action{}); };

template <class Team>
concept has_chunk = requires {
  typename std::integral_constant<index_t, Team::template chunk<float>()>;
  typename std::integral_constant<index_t, Team::template chunk<double>()>;
};

template <class Team, class T>
concept computes_in = real_lane_vector<typename Team::template vec<T>> && has_positions<Team, T> && has_sum<Team, T> &&
                      has_maximum<Team, T> && has_count<Team, T>;

template <class Team, class T>
concept compares_in = lane_vector<typename Team::template vec<T>> && has_positions<Team, T>;

}  // namespace contract

template <class Team>
concept kernel_team =
    contract::has_vec<Team> && contract::has_loop<Team> && contract::has_items<Team> && contract::has_sum_items<Team> &&
    contract::has_once<Team> && contract::has_chunk<Team> && contract::computes_in<Team, float> &&
    contract::computes_in<Team, double> && contract::compares_in<Team, index_t> && contract::compares_in<Team, std::int32_t>;

}  // namespace infalign
