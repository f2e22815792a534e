// SPDX-License-Identifier: Apache-2.0
/// \file
/// What an algorithm may ask of a backend, as a concept. An algorithm is a constrained function template that uses nothing
/// else; a backend is a class that offers these few things. Neither names the other.
///
/// A backend is an ordinary value, passed first. It carries how to run (executor, stream, scratch memory) and is used by one
/// call at a time; two threads use two backends.
///
/// | member                         | meaning                                                                          |
/// |--------------------------------|----------------------------------------------------------------------------------|
/// | `memory_space`                 | the memory its views must live in                                                |
/// | `map<T>(n, f)`                 | `f(at)` for positions `0 … n-1`, several at a time                               |
/// | `groups(n, cost, kernel)`      | `kernel(team, g)` for every group `g`; `cost` ≈ element operations in all of them |
/// | `first<T>(n, p)`               | the smallest position whose mask `p(at)` is set, or `n`; waits for the answer    |
/// | `sort(groups, out)`            | every group of `groups` in ascending order, packed, at `out`, which may be where they lie |
/// | `scratch()`                    | a frame of reusable memory: `frame.template take<T>(n)`                           |
/// | `make_array<T>(n)`             | `n` uninitialised values in memory of their own, an `array<T>`: movable, with `data()` |
/// | `read(p)`                      | the value at `p`, on the host; waits for the work before it                      |
/// | `checks_values()`              | whether public functions look for NaN, ids out of range … before they run        |
/// | `prefers_counting(k, m)`       | cost model: rank `m` values among `k` by comparing all, or by sorting and search?  |
///
/// A kernel is written for a *team*: the lanes that work on one group together (the lanes of a SIMD register, a warp, a block).
/// It is one program that all lanes run. A variable of type `Team::vec<T>` differs from lane to lane; every other variable is
/// the same in all of them.
///
/// | member                  | meaning                                                                                   |
/// |-------------------------|-------------------------------------------------------------------------------------------|
/// | `vec<T>`                | what the lanes hold of a `T` together: a `double`, a SIMD batch, a register of each thread |
/// | `loop<T, U>(n, f)`      | `f(at, k)` over positions `0 … n-1`; `k < U` tells which of `U` independent accumulators  |
/// | `items(n, f)`           | `f(i)` for single positions, spread over the lanes                                        |
/// | `sum_items(n, f)`       | the sum of the doubles `f(i)`, in all lanes                                               |
/// | `sum(v)`, `maximum(v)`  | reduction of a `vec` over the lanes, as a `double`, in all lanes                          |
/// | `count(c)`              | how often `count_where` held for `c`, over the lanes, as a `double`, in all lanes         |
/// | `once(f)`               | `f()` by one lane                                                                        |
/// | `chunk<T>()`            | a constant: how many elements to work through between two reductions, to stay in cache   |
/// | `keeps_exponentials`    | a constant: is it cheaper to write exponentials out and read them back than to take them twice? |
///
/// `at.load(p, pad)` is the vec at `p[position]` (`pad` where the positions end), converted from the stored type to `T`;
/// `at.store(p, v)` is its counterpart. `at.add_where(sum, mask, v)` is `sum + v` where the mask is set, else `sum`.
/// `at.count_where(c, mask)` counts the lanes in which the mask is set into `c`, a vec that begins as 0 and in which a team may
/// hold counts as it likes; up to 2^24 a lane are exact.
///
/// Each call of a team's member sees what was stored by the calls before it.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "infalign/core/config.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

namespace concept_probe {
struct element {
  template <class At>
  INFALIGN_HD void operator()(At at) const {
    at.store(static_cast<float*>(nullptr), at.load(static_cast<const float*>(nullptr)));
  }
};
struct mask {
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(static_cast<const float*>(nullptr));
    return v < v;
  }
};
struct kernel {
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    typename Team::template vec<float> v(0), positive(0);
    team.template loop<float>(1, [&](auto at, auto) {
      v = at.add_where(v, v < v, at.load(static_cast<const float*>(nullptr), 0.0f));
      positive = at.count_where(positive, v < v);
    });
    const double total = team.count(positive) + team.sum(v) + team.maximum(v) + team.sum_items(1, [](index_t) { return 1.0; });
    team.items(1, [](index_t) {});
    constexpr index_t chunk = Team::template chunk<float>() + Team::keeps_exponentials;
    team.once([&] { *static_cast<double*>(nullptr) = total + static_cast<double>(chunk); });
  }
};
}  // namespace concept_probe

template <class B>
concept backend = !std::is_const_v<std::remove_reference_t<B>> && requires(std::remove_cvref_t<B>& on, index_t n,
                                                                           const float* in, float* out) {
  typename std::remove_cvref_t<B>::memory_space;
  on.template map<float>(n, concept_probe::element{});
  on.groups(n, n, concept_probe::kernel{});
  { on.template first<float>(n, concept_probe::mask{}) } -> std::same_as<index_t>;
  on.sort(rows<const float, typename std::remove_cvref_t<B>::memory_space>(in, n, n), out);
  { on.scratch().template take<float>(n) } -> std::same_as<float*>;
  { on.template make_array<float>(n).data() } -> std::same_as<float*>;
  requires std::same_as<decltype(on.template make_array<float>(n)), typename std::remove_cvref_t<B>::template array<float>>;
  { on.read(in) } -> std::same_as<float>;
  { on.checks_values() } -> std::same_as<bool>;
  { on.prefers_counting(n, n) } -> std::same_as<bool>;
};

/// Whether all these views live in the memory of backend `B`.
template <class B, class... Views>
concept reachable_from =
    (std::same_as<typename std::remove_cvref_t<B>::memory_space, typename std::remove_cvref_t<Views>::memory_space> && ...);

/// Which algorithm ranks values among a group's references. Results are the same to the bit; the cost is not.
enum class rank_algorithm {
  automatic,  ///< the backend's measured cost model decides
  counting,   ///< compare with every reference: O(k·m), no scratch memory
  sorting     ///< sort the references, then search: O((k + m)·log k), a sorted copy in scratch memory
};

template <backend B>
bool by_counting(B& on, rank_algorithm chosen, index_t references, index_t values) {
  if (chosen == rank_algorithm::automatic) return on.prefers_counting(references, values);
  return chosen == rank_algorithm::counting;
}

}  // namespace infalign
