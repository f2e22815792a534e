// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a reward transform is: a small value that maps a calibrated reward `u ∈ [0,1]` to the reward `Φ(u)` to be maximised.
///
/// To add one, write a file like `exponential.hpp`: `operator()` and `derivative` as templates on the value type (a scalar or a
/// SIMD batch), `name()`, and `citation`. Nothing else has to change. Adding a constant to `Φ`, or scaling `Φ` and the KL
/// weight together, does not change the optimal policy.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <type_traits>

#include "infalign/core/config.hpp"

namespace infalign {

template <class F>
concept transform_function = std::copyable<F> && requires(const F& transform, double u) {
  { transform(u) } -> std::convertible_to<double>;
  { transform.derivative(u) } -> std::convertible_to<double>;
  { transform.name() } -> std::convertible_to<std::string>;
  { F::citation } -> std::convertible_to<const char*>;
};

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

namespace detail {
/// A parameter as a user would write it, `exponential:-5`, with as many digits as it takes to read it back exactly, in any locale.
inline std::string format_parameter(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}
}  // namespace detail

}  // namespace infalign
