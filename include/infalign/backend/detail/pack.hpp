// SPDX-License-Identifier: Apache-2.0
/// \file
/// Several values of one thread that a formula treats as one: a SIMD batch in plain registers, for device code.
#pragma once

#include <cmath>
#include <type_traits>

#include "infalign/core/config.hpp"
#include "infalign/core/math.hpp"

namespace infalign::detail {

template <int N>
struct pack_mask {
  bool element[N];
};

template <class T, int N>
struct pack {
  using value_type = T;
  static constexpr int size = N;
  T element[N];

  pack() = default;
  /// `value` in every element.
  INFALIGN_HD explicit pack(T value) {
    for (T& e : element) e = value;
  }
};

/// `f(a_k, b_k, …)` for every k: a pack, or a mask where `f` is a predicate.
template <class F, class T, int N, class... Packs>
INFALIGN_HD auto elementwise(const F& f, const pack<T, N>& a, const Packs&... others) {
  using R = decltype(f(a.element[0], others.element[0]...));
  std::conditional_t<std::is_same_v<R, bool>, pack_mask<N>, pack<T, N>> result;
  for (int k = 0; k < N; ++k) result.element[k] = f(a.element[k], others.element[k]...);
  return result;
}

template <class T, int N>
INFALIGN_HD pack<T, N> operator+(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x + y; }, a, b);
}
template <class T, int N>
INFALIGN_HD pack<T, N> operator-(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x - y; }, a, b);
}
template <class T, int N>
INFALIGN_HD pack<T, N> operator*(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x * y; }, a, b);
}
template <class T, int N>
INFALIGN_HD pack<T, N> operator/(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x / y; }, a, b);
}
template <class T, int N>
INFALIGN_HD pack<T, N> operator-(const pack<T, N>& a) {
  return elementwise([](T x) { return -x; }, a);
}
template <class T, int N>
INFALIGN_HD pack_mask<N> operator<(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x < y; }, a, b);
}
template <class T, int N>
INFALIGN_HD pack_mask<N> operator<=(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x <= y; }, a, b);
}
template <class T, int N>
INFALIGN_HD pack_mask<N> operator>(const pack<T, N>& a, const pack<T, N>& b) {
  return b < a;
}
template <class T, int N>
INFALIGN_HD pack_mask<N> operator>=(const pack<T, N>& a, const pack<T, N>& b) {
  return b <= a;
}
template <class T, int N>
INFALIGN_HD pack_mask<N> operator==(const pack<T, N>& a, const pack<T, N>& b) {
  return elementwise([](T x, T y) { return x == y; }, a, b);
}

template <int N>
INFALIGN_HD pack_mask<N> operator&(const pack_mask<N>& a, const pack_mask<N>& b) {
  pack_mask<N> result;
  for (int k = 0; k < N; ++k) result.element[k] = a.element[k] && b.element[k];
  return result;
}
template <int N>
INFALIGN_HD pack_mask<N> operator|(const pack_mask<N>& a, const pack_mask<N>& b) {
  pack_mask<N> result;
  for (int k = 0; k < N; ++k) result.element[k] = a.element[k] || b.element[k];
  return result;
}
template <int N>
INFALIGN_HD pack_mask<N> operator!(const pack_mask<N>& a) {
  pack_mask<N> result;
  for (int k = 0; k < N; ++k) result.element[k] = !a.element[k];
  return result;
}

template <class T, int N>
INFALIGN_HD pack<T, N> select(const pack_mask<N>& where, const pack<T, N>& a, const pack<T, N>& b) {
  pack<T, N> result;
  for (int k = 0; k < N; ++k) result.element[k] = where.element[k] ? a.element[k] : b.element[k];
  return result;
}
template <class T, int N>
INFALIGN_HD pack<T, N> max(const pack<T, N>& a, const pack<T, N>& b) {
  return select(a < b, b, a);
}
template <class T, int N>
INFALIGN_HD pack<T, N> exp(const pack<T, N>& a) {
  return elementwise([](T x) { return std::exp(x); }, a);
}
template <class T, int N>
INFALIGN_HD pack<T, N> log(const pack<T, N>& a) {
  return elementwise([](T x) { return std::log(x); }, a);
}
template <class T, int N>
INFALIGN_HD pack<T, N> sqrt(const pack<T, N>& a) {
  return elementwise([](T x) { return std::sqrt(x); }, a);
}
/// See `lanewise` in `core/math.hpp`.
template <class F, class T, int N>
INFALIGN_HD pack<T, N> lanewise(const F& f, const pack<T, N>& a) {
  return elementwise([&f](T x) { return static_cast<T>(f(x)); }, a);
}

}  // namespace infalign::detail
