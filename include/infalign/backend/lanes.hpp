// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a formula may ask of lanes: of a `vec<T>`, the values that the lanes of a team hold of one variable. Lanes are a
/// number, a SIMD batch, a few registers of a GPU thread, or a type of yours.
///
/// | expression                            | meaning, lane by lane                                                        |
/// |---------------------------------------|------------------------------------------------------------------------------|
/// | `V v;` `V v = w;` `v = w;`            | lanes are ordinary values                                                    |
/// | `V(x)`                                | `x` in every lane; `V::value_type` is its type, unless `V` is a number itself |
/// | `a + b`, `a - b`                      | arithmetic                                                                   |
/// | `a < b`, `<=`, `>`, `>=`, `==`        | a mask; comparisons with NaN are false                                       |
/// | `m & n`, `m \| n`, `!m`               | on masks                                                                     |
/// | `select(m, a, b)`                     | `a` where the mask is set, else `b`                                          |
/// | `a * b`, `a / b`, `-a`                | arithmetic, of real lanes                                                    |
/// | `exp(a)`, `log(a)`, `sqrt(a)`         | functions, of real lanes                                                     |
/// | `max(a, b)`                           | the larger, of real lanes; where one is NaN, either                          |
/// | `lanewise(f, a)`                      | `f(x)` for every lane `x`, of real lanes                                     |
///
/// Functions are found by argument-dependent lookup: declare them beside the type of the lanes.
#pragma once

#include <cmath>
#include <concepts>
#include <type_traits>
#include <utility>

#include "infalign/core/config.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

/// A function of single values, as `lanewise` gets it.
struct lanewise_probe {
  template <class X>
  INFALIGN_HD double operator()(X x) const {
    return static_cast<double>(x);
  }
};

/// The pieces of the contract of a backend, each under a name, so that a compiler can say which one is missing.
namespace contract {

using detail::max;
using std::exp;
using std::log;
using std::sqrt;

template <class V>
using mask_of = std::remove_cvref_t<decltype(std::declval<const V&>() < std::declval<const V&>())>;

template <class V>
concept is_value = std::semiregular<V>;

template <class V>
concept has_constants = requires(double c) {
  V(static_cast<typename detail::lane<V>::type>(c));
  V(0);
};

template <class V>
concept has_sums = requires(const V& a) {
  { a + a } -> std::convertible_to<V>;
  { a - a } -> std::convertible_to<V>;
};

template <class V>
concept has_comparisons = requires(const V& a) {
  { a < a } -> std::convertible_to<mask_of<V>>;
  { a <= a } -> std::convertible_to<mask_of<V>>;
  { a > a } -> std::convertible_to<mask_of<V>>;
  { a >= a } -> std::convertible_to<mask_of<V>>;
  { a == a } -> std::convertible_to<mask_of<V>>;
};

template <class V>
concept has_mask_operators = requires(const mask_of<V>& m) {
  { m& m } -> std::convertible_to<mask_of<V>>;
  { m | m } -> std::convertible_to<mask_of<V>>;
  { !m } -> std::convertible_to<mask_of<V>>;
};

template <class V>
concept has_select = requires(const mask_of<V>& m, const V& a) {
  { select(m, a, a) } -> std::convertible_to<V>;
};

template <class V>
concept has_products = requires(const V& a) {
  { a* a } -> std::convertible_to<V>;
  { a / a } -> std::convertible_to<V>;
  { -a } -> std::convertible_to<V>;
};

template <class V>
concept has_exp = requires(const V& a) {
  { exp(a) } -> std::convertible_to<V>;
};

template <class V>
concept has_log = requires(const V& a) {
  { log(a) } -> std::convertible_to<V>;
};

template <class V>
concept has_sqrt = requires(const V& a) {
  { sqrt(a) } -> std::convertible_to<V>;
};

template <class V>
concept has_max = requires(const V& a) {
  { max(a, a) } -> std::convertible_to<V>;
};

template <class V>
concept has_lanewise = requires(const V& a) {
  { lanewise(lanewise_probe{}, a) } -> std::convertible_to<V>;
};

}  // namespace contract

/// Lanes of any arithmetic type: what sizes, offsets and token ids are compared in.
template <class V>
concept lane_vector = contract::is_value<V> && contract::has_constants<V> && contract::has_sums<V> &&
                      contract::has_comparisons<V> && contract::has_mask_operators<V> && contract::has_select<V>;

/// Lanes of `float` or `double`: what formulas are evaluated in.
template <class V>
concept real_lane_vector = lane_vector<V> && contract::has_products<V> && contract::has_exp<V> && contract::has_log<V> &&
                           contract::has_sqrt<V> && contract::has_max<V> && contract::has_lanewise<V>;

}  // namespace infalign
