// SPDX-License-Identifier: Apache-2.0
/// \file
/// What an algorithm may ask of a backend, as a concept. An algorithm is a constrained function template that uses nothing
/// else; a backend is a class that offers these few things. Neither names the other, but for measured specialisations of tuning traits.
///
/// A backend is an ordinary value, passed first. It carries how to run (executor, stream, scratch memory) and is used by one
/// call at a time; two threads use two backends.
///
/// | member                         | meaning                                                                          |
/// |--------------------------------|----------------------------------------------------------------------------------|
/// | `memory_space`                 | the memory its views must live in                                                |
/// | `team_type`                    | the `kernel_team` that works on a group: see `team.hpp`, and `lanes.hpp` for what a formula sees |
/// | `map<T>(n, f)`                 | `f(at)` for positions `0 … n-1`, several at a time: `at` is one of the team's `positions<T>` |
/// | `groups(n, cost, kernel)`      | `kernel(team, g)` for every group `g`; `cost` ≈ element operations in all of them |
/// | `first<T>(n, p)`               | the smallest position whose mask `p(at)` is set, or `n`; waits for the answer    |
/// | `sort(groups, out)`            | every group of `groups` in ascending order, packed, at `out`, which may be where they lie |
/// | `scratch()`                    | a frame of reusable memory: `frame.template take<T>(n)`                           |
/// | `make_array<T>(n)`             | `n` uninitialised values in memory of their own, an `array<T>`: movable, with `data()` |
/// | `read(p)`                      | the value at `p`, on the host; waits for the work before it                      |
/// | `checks_values()`              | whether public functions look for NaN, ids out of range … before they run        |
///
/// Every row is a concept of its own in `infalign::contract`. `assert_backend.hpp` says in one line which a type lacks.
///
/// How an algorithm is tuned is no part of the contract: the algorithm owns a trait with a default, as `rank_cost` in
/// `calibration/rank_algorithm.hpp`.
#pragma once

#include <concepts>
#include <type_traits>

#include "infalign/backend/team.hpp"
#include "infalign/core/config.hpp"
#include "infalign/core/shapes.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

namespace contract {

struct formula {
  template <class At>
  INFALIGN_HD void operator()(At) const {}
};
struct predicate {
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(static_cast<const float*>(nullptr));
    return v < v;
  }
};
struct kernel {
  template <class Team>
  INFALIGN_HD void operator()(Team&, index_t) const {}
};

template <class B>
concept has_memory_space = requires { typename B::memory_space; };

template <class B>
concept has_team_type = requires { typename B::team_type; };

template <class B>
concept has_map = requires(B& on, index_t n) { on.template map<float>(n, formula{}); };

template <class B>
concept has_groups = requires(B& on, index_t n) { on.groups(n, n, kernel{}); };

template <class B>
concept has_first = requires(B& on, index_t n) {
  { on.template first<float>(n, predicate{}) } -> std::same_as<index_t>;
};

template <class B>
concept has_sort = requires(B& on, rows<const float, typename B::memory_space> equal,
                            ragged<const float, typename B::memory_space> unequal, float* out) {
  on.sort(equal, out);
  on.sort(unequal, out);
};

template <class B>
concept has_scratch = requires(B& on, index_t n) {
  { on.scratch().template take<float>(n) } -> std::same_as<float*>;
};

template <class B>
concept has_make_array = requires(B& on, index_t n) {
  { on.template make_array<float>(n) } -> std::same_as<typename B::template array<float>>;
  { on.template make_array<float>(n).data() } -> std::same_as<float*>;
  requires std::movable<typename B::template array<float>>;
};

template <class B>
concept has_read = requires(B& on, const float* p) {
  { on.read(p) } -> std::same_as<float>;
};

template <class B>
concept has_checks_values = requires(B& on) {
  { on.checks_values() } -> std::same_as<bool>;
};

template <class B>
concept is_backend =
    has_memory_space<B> && has_team_type<B> && has_map<B> && has_groups<B> && has_first<B> && has_sort<B> && has_scratch<B> &&
    has_make_array<B> && has_read<B> && has_checks_values<B> && kernel_team<typename B::team_type>;

}  // namespace contract

/// A backend, or a reference to one that is not constant: a call changes its scratch memory.
template <class B>
concept backend = !std::is_const_v<std::remove_reference_t<B>> && contract::is_backend<std::remove_cvref_t<B>>;

/// Whether all these views live in the memory of backend `B`.
template <class B, class... Views>
concept reachable_from =
    (std::same_as<typename std::remove_cvref_t<B>::memory_space, typename std::remove_cvref_t<Views>::memory_space> && ...);

}  // namespace infalign
