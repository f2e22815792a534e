// SPDX-License-Identifier: Apache-2.0
/// \file
/// Small functions that formulas use on a scalar and on a SIMD batch alike.
///
/// A formula is written once, for any value type `V`: unqualified `exp`, `log`, `sqrt`, `select` … find the standard
/// functions for `float`/`double` (by a using-declaration or here) and the batch versions by argument-dependent lookup.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

#include "infalign/core/config.hpp"

namespace infalign {

/// The arithmetic type that a stored type is computed in. A 16-bit storage type specialises it to `float`.
template <class Storage>
struct compute_type {
  using type = Storage;
};
template <class Storage>
using compute_t = typename compute_type<std::remove_cv_t<Storage>>::type;

/// `condition ? a : b`. Only for a real `bool`: on AVX-512 a batch of booleans converts to `bool` silently, so that an overload
/// for anything convertible would compile and be wrong.
template <class Bool, class V>
  requires(std::same_as<Bool, bool> && std::is_arithmetic_v<V>)
INFALIGN_HD constexpr V select(Bool condition, V a, V b) {
  return condition ? a : b;
}

/// `f(x)` for a function of single values, one that searches a table for example. On a batch it is called for each lane: that
/// overload lives with its backend. Argument-dependent lookup finds it by the type of `f`, which therefore must belong to this
/// library.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable  // `f` may be for the host alone, where only the host calls this
#endif
template <class F, class V>
  requires std::is_arithmetic_v<V>
INFALIGN_HD constexpr V lanewise(const F& f, V x) {
  return static_cast<V>(f(x));
}

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();

/// Whether `x` is NaN, +inf or -inf: for these `x - x` is not zero. One formula for scalars and batches.
template <class V>
INFALIGN_HD auto not_finite(V x) {
  return !(x - x == V(0));
}

namespace detail {
// Backends add overloads for their lanes to this namespace. Without these declarations they would hide those for scalars.
using infalign::lanewise;
using infalign::select;

/// The order of `std::less`. Standard algorithms that are handed it have the instruction set in their linker name, as it has.
struct INFALIGN_KEYED ascending {
  template <class T>
  constexpr bool operator()(const T& a, const T& b) const {
    return a < b;
  }
};

/// The larger of two numbers; of two batches, by argument-dependent lookup.
template <class V>
  requires std::is_arithmetic_v<V>
INFALIGN_HD constexpr V max(V a, V b) {
  return a < b ? b : a;
}

template <class V>
struct lane {
  using type = V;
};
template <class V>
  requires requires { typename V::value_type; }
struct lane<V> {
  using type = typename V::value_type;
};
}  // namespace detail

namespace detail {
/// The exponential of lanes. A backend specialises it where it has a better one than `exp` of their type. `bounded`: for x of at most
/// 88; what is greater gives some number.
template <class V>
struct lane_exp {
  INFALIGN_HD static V of(const V& x) {
    using std::exp;
    return exp(x);
  }
  INFALIGN_HD static V bounded(const V& x) { return of(x); }
};
/// `e^x` as exact as `exp` and as fast as the lanes allow, for formulas of the library. In SIMD registers of `float` it is 0 below
/// -87.68 and infinite above 88.38.
template <class V>
INFALIGN_HD V natural_exp(const V& x) {
  return lane_exp<V>::of(x);
}
template <class V>
INFALIGN_HD V natural_exp_bounded(const V& x) {
  return lane_exp<V>::bounded(x);
}
/// The natural logarithm of lanes, likewise.
template <class V>
struct lane_log {
  INFALIGN_HD static V of(const V& x) {
    using std::log;
    return log(x);
  }
};
/// `log x` as exact as `log` and as fast as the lanes allow, for formulas of the library.
template <class V>
INFALIGN_HD V natural_log(const V& x) {
  return lane_log<V>::of(x);
}
}  // namespace detail

/// The number of an accumulator, as a type: in an unrolled loop the compiler then knows which accumulator a step adds to, and
/// can keep it in a register.
template <int K>
struct accumulator_index {
  INFALIGN_HD constexpr operator int() const { return K; }
};

/// A constant of a formula, rounded to the precision of the value type.
template <class V>
INFALIGN_HD constexpr V constant(double c) {
  return V(static_cast<typename detail::lane<V>::type>(c));
}

/// Polynomial by Horner's rule, highest power first: `polynomial(x, a, b, c) = (a·x + b)·x + c`.
template <class V, class... Lower>
INFALIGN_HD V polynomial([[maybe_unused]] V x, double highest, Lower... lower) {
  V sum = constant<V>(highest);
  ((sum = sum * x + constant<V>(lower)), ...);
  return sum;
}

}  // namespace infalign
