// SPDX-License-Identifier: Apache-2.0
/// \file
/// For the author of a backend: one line that fails to compile with the name of what is missing.
/// \code
/// static_assert(infalign::assert_backend<my_backend>());
/// \endcode
#pragma once

#include <cstdint>
#include <type_traits>

#include "infalign/backend/backend.hpp"

namespace infalign {

namespace contract {

template <class V>
constexpr bool assert_lanes() {
  static_assert(is_value<V>, "infalign: lanes must be default-constructible, copyable values");
  static_assert(has_constants<V>, "infalign: lanes must have V(x), x in every lane, and V::value_type");
  static_assert(has_sums<V>, "infalign: lanes must have a + b and a - b");
  static_assert(has_comparisons<V>, "infalign: lanes must have a < b, <=, >, >= and ==, which give one type of mask");
  static_assert(has_mask_operators<V>, "infalign: masks of lanes must have m & n, m | n and !m");
  static_assert(has_select<V>, "infalign: lanes must have select(mask, a, b)");
  return true;
}

template <class V>
constexpr bool assert_real_lanes() {
  assert_lanes<V>();
  static_assert(has_products<V>, "infalign: lanes must have a * b, a / b and -a");
  static_assert(has_exp<V>, "infalign: lanes must have exp(a)");
  static_assert(has_log<V>, "infalign: lanes must have log(a)");
  static_assert(has_sqrt<V>, "infalign: lanes must have sqrt(a)");
  static_assert(has_max<V>, "infalign: lanes must have max(a, b)");
  static_assert(has_lanewise<V>, "infalign: lanes must have lanewise(f, a)");
  return true;
}

template <class At, class V, class T>
constexpr bool assert_position() {
  static_assert(has_load<At, V, T>, "infalign: a position must have load(p) and load(p, pad)");
  static_assert(has_store<At, V, T>, "infalign: a position must have store(p, v)");
  static_assert(has_add_where<At, V>, "infalign: a position must have add_where(sum, mask, v)");
  static_assert(has_count_where<At, V>, "infalign: a position must have count_where(count, mask)");
  return true;
}

template <class V, class T, class... At>
constexpr bool assert_positions(position_types<At...>) {
  static_assert(sizeof...(At) > 0, "infalign: a team's positions<T> must be a position_types<...> of one type or more");
  return (assert_position<At, V, T>() && ...);
}

template <class Team, class T>
constexpr bool assert_loops_over() {
  if constexpr (requires { typename Team::template positions<T>; })
    return assert_positions<typename Team::template vec<T>, T>(typename Team::template positions<T>{});
  else
    static_assert(has_positions<Team, T>, "infalign: a team must have positions<T>, the types of `at` in its loops");
  return true;
}

template <class Team, class T>
constexpr bool assert_computes_in() {
  assert_real_lanes<typename Team::template vec<T>>();
  assert_loops_over<Team, T>();
  static_assert(has_sum<Team, T>, "infalign: a team must have sum(v), a double");
  static_assert(has_maximum<Team, T>, "infalign: a team must have maximum(v), a double");
  static_assert(has_count<Team, T>, "infalign: a team must have count(c), a double");
  return true;
}

template <class Team>
constexpr bool assert_team() {
  static_assert(has_loop<Team>, "infalign: a team must have loop<T, U>(n, f)");
  static_assert(has_items<Team>, "infalign: a team must have items(n, f)");
  static_assert(has_sum_items<Team>, "infalign: a team must have sum_items(n, f), a double");
  static_assert(has_once<Team>, "infalign: a team must have once(f)");
  static_assert(has_chunk<Team>, "infalign: a team must have chunk<T>(), a constant index_t");
  static_assert(has_vec<Team>, "infalign: a team must have vec<T>, the type of its lanes");
  if constexpr (has_vec<Team>) {
    assert_computes_in<Team, float>();
    assert_computes_in<Team, double>();
    assert_lanes<typename Team::template vec<index_t>>();
    assert_loops_over<Team, index_t>();
    assert_lanes<typename Team::template vec<std::int32_t>>();
    assert_loops_over<Team, std::int32_t>();
  }
  return true;
}

}  // namespace contract

/// True for a backend. Any other type does not compile, with one line for each member that is missing.
template <class B>
constexpr bool assert_backend() {
  using namespace contract;
  static_assert(!std::is_reference_v<B> && !std::is_const_v<B>,
                "infalign: assert_backend is asked about a class, not about const or &");
  static_assert(has_memory_space<B>, "infalign: a backend must have memory_space, the memory that its views live in");
  static_assert(has_map<B>, "infalign: a backend must have map<T>(n, f)");
  static_assert(has_groups<B>, "infalign: a backend must have groups(n, cost, kernel)");
  static_assert(has_first<B>, "infalign: a backend must have first<T>(n, p), an index_t");
  static_assert(has_sort<B>, "infalign: a backend must have sort(groups, out), for rows and for ragged groups");
  static_assert(has_scratch<B>, "infalign: a backend must have scratch(), a frame with take<T>(n)");
  static_assert(has_make_array<B>, "infalign: a backend must have make_array<T>(n), a movable array<T> with data()");
  static_assert(has_read<B>, "infalign: a backend must have read(p), the value at p");
  static_assert(has_checks_values<B>, "infalign: a backend must have checks_values(), a bool");
  static_assert(has_team_type<B>, "infalign: a backend must have team_type, the team that groups() gives a kernel");
  if constexpr (has_team_type<B>) assert_team<typename B::team_type>();
  return true;
}

}  // namespace infalign
