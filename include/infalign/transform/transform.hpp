// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a reward transform is: a small value that maps a calibrated reward `u ∈ [0,1]` to the reward `Φ(u)` to be maximised. Adding
/// a constant to `Φ` does not change the optimal policy. Nor does scaling `Φ` and the KL weight together.
///
/// A transform is a copyable type. It must have
/// - `operator()(u)`: `Φ(u)`, increasing;
/// - `derivative(u)`: `Φ'(u)`;
/// - `name()`: a string, as it is shown in tables;
/// - `citation`: a static string, where the formula is from.
///
/// The first two are templates on the value type, `template <class V> INFALIGN_HD V operator()(V u) const`. `V` is a number, or a SIMD
/// batch of numbers in which each lane is a reward of its own. `core/math.hpp` has what works on both.
///
/// It may have
/// - `kinks()`: the points of (0,1) at which the derivative or the curvature jumps, as a `std::vector<double>`. Called on the host only.
///   The theory ends its intervals of integration there. Default: none; a kink that is not listed costs time, not accuracy.
/// - `derivative_near_one(rest)`: `Φ'(1 - rest)` in `double`, accurate however small `rest` is. Called on the host only. A transform
///   that is infinite at 1, or varies there on a scale below 1e-12, needs it for policies that put their mass so close to 1.
///   Default: `derivative(u)`, for which u is rounded to multiples of 1e-16.
/// - `ref()`: what is copied into a kernel instead of the transform, for one that owns memory. It stays valid while the transform
///   lives. Default: the transform itself.
/// - `memory_space`: the memory that this kernel form reads. Default: none.
///
/// Errors of the library's transforms are relative to the value at the `u` that is given, before it is rounded to the type of the result.
/// `ε` is 2⁻²⁴ where it is computed in lanes of `float` (`simd`, `float` or 16 bits), else 2⁻⁵³. They hold where results and the
/// exponentials in them are normal numbers; smaller ones may be 0. tests/transform/accuracy_test.cpp fails beyond them; `cuda` is not
/// measured.
///
/// To have a transform read by its name, write a file like `exponential.hpp` and enter it in `transforms.hpp`. It then needs two
/// members more:
/// - `naming`: a static `name_entry`, which holds the syntax of the name, an example, and a line of explanation;
/// - `read(in)`: a static function that makes the transform from the parameters of its name, taken from a `detail::parameter_reader`.
#pragma once

#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign {

template <class F>
concept transform_function = std::copyable<F> && requires(const F& transform, double u) {
  { transform(u) } -> std::convertible_to<double>;
  { transform.derivative(u) } -> std::convertible_to<double>;
  { transform.name() } -> std::convertible_to<std::string>;
  { F::citation } -> std::convertible_to<const char*>;
};

namespace detail {

/// Public functions call it first, so that the compiler says in one line what a type lacks to be a transform.
template <class F>
constexpr void expects_transform() {
  static_assert(std::copyable<F>, "a transform must be copyable");
  static_assert(
      requires(const F& transform, double u) {
        { transform(u) } -> std::convertible_to<double>;
      }, "a transform needs a const operator()(u) that returns a number");
  static_assert(
      requires(const F& transform, double u) {
        { transform.derivative(u) } -> std::convertible_to<double>;
      }, "a transform needs a const derivative(u) that returns a number");
  static_assert(
      requires(const F& transform) {
        { transform.name() } -> std::convertible_to<std::string>;
      }, "a transform needs a const name() that returns a string");
  static_assert(
      requires {
        { F::citation } -> std::convertible_to<const char*>;
      }, "a transform needs a static citation that is a string");
}

}  // namespace detail

/// The form of a transform that enters a kernel: itself, or for one that owns memory (`tabulated`, and what is composed of it)
/// its non-owning `ref()`, valid while the owner lives.
template <class F>
auto kernel_form(const F& transform) {
  if constexpr (requires { transform.ref(); })
    return transform.ref();
  else
    return transform;
}

namespace detail {
template <class F>
std::vector<double> kinks_of(const F& transform) {
  if constexpr (requires { transform.kinks(); })
    return transform.kinks();
  else
    return {};
}

/// `Φ'(u)` at `u = 1 - rest`.
template <class F>
INFALIGN_KEYED double derivative_at(const F& transform, double u, double rest) {
  if constexpr (requires { transform.derivative_near_one(rest); })
    if (u > 0.5) return transform.derivative_near_one(rest);
  return static_cast<double>(transform.derivative(u));
}

template <class F>
struct memory_read {
  using type = void;
};
template <class F>
  requires requires { typename F::memory_space; }
struct memory_read<F> {
  using type = typename F::memory_space;
};
}  // namespace detail

/// The memory that a kernel form reads, as `memory_space` of a table says; `void` if it reads none.
template <class F>
using memory_read_by = typename detail::memory_read<F>::type;

/// Whether kernel form `F` can be used by a backend that works on memory `Space`.
template <class F, class Space>
inline constexpr bool usable_in = std::is_void_v<memory_read_by<F>> || std::same_as<memory_read_by<F>, Space>;

}  // namespace infalign
