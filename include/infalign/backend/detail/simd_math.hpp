// SPDX-License-Identifier: Apache-2.0
/// \file
/// Functions of SIMD registers that xsimd has too, but slower.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <xsimd/xsimd.hpp>

#include "infalign/core/math.hpp"

namespace infalign::detail {

/// The bits of `from`, read as another type. Versions of xsimd differ in whether `bitwise_cast` is given a batch or its element.
template <class To, class From, class Arch>
xsimd::batch<To, Arch> simd_bits(const xsimd::batch<From, Arch>& from) {
  if constexpr (requires {
                  { xsimd::bitwise_cast<To>(from) } -> std::same_as<xsimd::batch<To, Arch>>;
                })
    return xsimd::bitwise_cast<To>(from);
  else
    return xsimd::bitwise_cast<xsimd::batch<To, Arch>>(from);
}

// The larger and the smaller of two registers; where one lane is NaN, the lane of `second`. Versions of xsimd differ in that: with 8.1
// it is the second argument of its functions on x86, with 14 the first, and on Arm it is NaN.
#if defined(__SSE2__)
INFALIGN_KEYED inline __m128 larger_or_second(__m128 first, __m128 second) {
  return _mm_max_ps(first, second);
}
INFALIGN_KEYED inline __m128 smaller_or_second(__m128 first, __m128 second) {
  return _mm_min_ps(first, second);
}
#endif
#if defined(__AVX__)
INFALIGN_KEYED inline __m256 larger_or_second(__m256 first, __m256 second) {
  return _mm256_max_ps(first, second);
}
INFALIGN_KEYED inline __m256 smaller_or_second(__m256 first, __m256 second) {
  return _mm256_min_ps(first, second);
}
#endif
#if defined(__AVX512F__)
INFALIGN_KEYED inline __m512 larger_or_second(__m512 first, __m512 second) {
  return _mm512_max_ps(first, second);
}
INFALIGN_KEYED inline __m512 smaller_or_second(__m512 first, __m512 second) {
  return _mm512_min_ps(first, second);
}
#endif

/// `x`, or `bound` where that is larger. NaN stays NaN. On x86 it is one instruction.
template <class Arch>
xsimd::batch<float, Arch> at_least(const xsimd::batch<float, Arch>& bound, const xsimd::batch<float, Arch>& x) {
  using V = xsimd::batch<float, Arch>;
  using R = typename V::register_type;
  if constexpr (requires(R r) { V(larger_or_second(r, r)); })
    return V(larger_or_second(static_cast<R>(bound), static_cast<R>(x)));
  else
    return xsimd::select(x < bound, bound, x);
}
/// `x`, or `bound` where that is smaller. NaN stays NaN.
template <class Arch>
xsimd::batch<float, Arch> at_most(const xsimd::batch<float, Arch>& bound, const xsimd::batch<float, Arch>& x) {
  using V = xsimd::batch<float, Arch>;
  using R = typename V::register_type;
  if constexpr (requires(R r) { V(smaller_or_second(r, r)); })
    return V(smaller_or_second(static_cast<R>(bound), static_cast<R>(x)));
  else
    return xsimd::select(bound < x, bound, x);
}

/// `e^x` for lanes of `float`, with a relative error below 1e-7, in 13 instructions where xsimd 8.1 takes 22.
///
/// `x = n·ln 2 + r` with an integer n and `|r| <= ln 2 / 2`, and `e^x = 2^n·e^r`. Adding a large number rounds to an integer, and
/// leaves it, with the bias of an exponent, in the lowest bits of the sum. `e^r` is the polynomial of degree 6 with the smallest
/// largest relative error (3e-9), found by linear programming. For n = -127 the bits of the power of two are those of 0, for n = 128
/// those of infinity: so the result is 0 below -126.5·ln 2 and infinite above 127.5·ln 2. NaN stays NaN.
template <class Arch>
struct lane_exp<xsimd::batch<float, Arch>> {
  using V = xsimd::batch<float, Arch>;

  static V of(const V& x) { return bounded(at_most(V(88.7f), x)); }
  static V bounded(const V& x) {
    const V clamped = at_least(V(-88.0f), x);
    const V rounder(12582912.0f + 127.0f);  // 1.5·2^23, and the bias
    const V sum = xsimd::fma(clamped, V(1.44269504088896341f), rounder);
    const V n = sum - rounder;
    V r = xsimd::fma(n, V(-0.693359375f), clamped);  // ln 2 in two parts: n times the first is exact
    r = xsimd::fma(n, V(2.12194440e-4f), r);
    V p = xsimd::fma(V(0.0013820944586768746f), r, V(0.008368683978915215f));
    p = xsimd::fma(p, r, V(0.04166826605796814f));
    p = xsimd::fma(p, r, V(0.1666652113199234f));
    p = xsimd::fma(p, r, V(0.4999999403953552f));
    p = xsimd::fma(p, r, V(1.0f));
    p = xsimd::fma(p, r, V(1.0f));
    return p * simd_bits<float>(simd_bits<std::int32_t>(sum) << 23);
  }
};

/// `log x` for lanes of `float`, with a relative error below 1e-7, in about 20 instructions.
///
/// `x = 2^n·(1 + f)` with `1 + f` between √½ and √2: `log x = n·ln 2 + f - f²/2 + f³·P(f)`, where P is the polynomial of degree 7 with
/// the smallest largest relative error of the whole (6e-9). What is not a positive normal number goes to xsimd, which is rare there.
template <class Arch>
struct lane_log<xsimd::batch<float, Arch>> {
  using V = xsimd::batch<float, Arch>;
  using integers = xsimd::batch<std::int32_t, Arch>;

  static V of(const V& x) {
    constexpr float smallest = std::numeric_limits<float>::min(), largest = std::numeric_limits<float>::max();
    if (!xsimd::all((x >= V(smallest)) & (x <= V(largest)))) return of_any(x);
    const integers bits = simd_bits<std::int32_t>(x);
    const integers exponent = (bits - integers(0x3f3504f3)) >> 23;  // of √½; the shift keeps the sign
    const V f = simd_bits<float>(bits - (exponent << 23)) - V(1.0f);
    const V n = xsimd::to_float(exponent);
    const V square = f * f;
    V p = xsimd::fma(V(-0.07636362314224243f), f, V(0.12762142717838287f));
    p = xsimd::fma(p, f, V(-0.13159598410129547f));
    p = xsimd::fma(p, f, V(0.14201585948467255f));
    p = xsimd::fma(p, f, V(-0.1662341058254242f));
    p = xsimd::fma(p, f, V(0.2000124156475067f));
    p = xsimd::fma(p, f, V(-0.2500081956386566f));
    p = xsimd::fma(p, f, V(0.3333333134651184f));
    V rest = xsimd::fma(square * f, p, n * V(-2.12194440e-4f));
    rest = xsimd::fma(square, V(-0.5f), rest);
    return xsimd::fma(n, V(0.693359375f), f + rest);
  }

 private:
  /// With subnormal numbers scaled up, which some of xsimd's logarithms take for 0 or NaN.
  static V of_any(const V& x) {
    const auto subnormal = (x > V(0.0f)) & (x < V(std::numeric_limits<float>::min()));
    const V logarithm = xsimd::log(xsimd::select(subnormal, x * V(0x1.0p23f), x));
    return xsimd::select(subnormal, logarithm - V(15.9423847f), logarithm);
  }
};

}  // namespace infalign::detail
