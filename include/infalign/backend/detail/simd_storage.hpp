// SPDX-License-Identifier: Apache-2.0
/// \file
/// Full registers of storage types that are converted all at once: 16-bit types to and from lanes of `float`, and `float` to and
/// from lanes of `double`.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "infalign/core/storage.hpp"

namespace infalign::detail {

/// How a register of `T` is loaded from `Storage` and stored to it. In general, one lane after the other.
template <class Storage, class T, class Arch>
struct simd_storage {
  using vec = xsimd::batch<T, Arch>;
  static vec load(const Storage* p) {
    alignas(Arch::alignment()) T lane[vec::size];
    for (std::size_t k = 0; k < vec::size; ++k) lane[k] = static_cast<T>(p[k]);
    return vec::load_aligned(lane);
  }
  static void store(Storage* p, const vec& v) {
    alignas(Arch::alignment()) T lane[vec::size];
    v.store_aligned(lane);
    for (std::size_t k = 0; k < vec::size; ++k) p[k] = static_cast<Storage>(static_cast<compute_t<Storage>>(lane[k]));
  }
};

template <class T, class Arch>
struct simd_storage<T, T, Arch> {
  using vec = xsimd::batch<T, Arch>;
  static vec load(const T* p) { return vec::load_unaligned(p); }
  static void store(T* p, const vec& v) { v.store_unaligned(p); }
};

#if defined(__GNUC__)  // GCC and Clang: vectors of any element are types of the compiler

/// Vectors of the compiler with one element a lane. GCC drops the size of a vector that depends on a template parameter.
template <std::size_t Lanes>
struct lane_vectors;
template <>
struct lane_vectors<4> {
  using words = std::uint32_t __attribute__((vector_size(16)));
  using floats = float __attribute__((vector_size(16)));
  using halves = std::uint16_t __attribute__((vector_size(8)));
};
template <>
struct lane_vectors<8> {
  using words = std::uint32_t __attribute__((vector_size(32)));
  using floats = float __attribute__((vector_size(32)));
  using halves = std::uint16_t __attribute__((vector_size(16)));
};
template <>
struct lane_vectors<16> {
  using words = std::uint32_t __attribute__((vector_size(64)));
  using floats = float __attribute__((vector_size(64)));
  using halves = std::uint16_t __attribute__((vector_size(32)));
};

/// Vectors of `double`, and of as many `float`.
template <std::size_t Lanes>
struct double_vectors;
template <>
struct double_vectors<2> {
  using doubles = double __attribute__((vector_size(16)));
  using floats = float __attribute__((vector_size(8)));
};
template <>
struct double_vectors<4> {
  using doubles = double __attribute__((vector_size(32)));
  using floats = float __attribute__((vector_size(16)));
};
template <>
struct double_vectors<8> {
  using doubles = double __attribute__((vector_size(64)));
  using floats = float __attribute__((vector_size(32)));
};

/// One instruction. Lane after lane, a loop over few values waits for memory: advantages took six times as long.
template <class Arch>
struct simd_storage<float, double, Arch> {
  using vec = xsimd::batch<double, Arch>;
  using vectors = double_vectors<vec::size>;
  static vec load(const float* p) {
    typename vectors::floats x;
    std::memcpy(&x, p, sizeof x);
    const auto wide = __builtin_convertvector(x, typename vectors::doubles);
    return vec(std::bit_cast<typename vec::register_type>(wide));
  }
  static void store(float* p, const vec& v) {
    const auto wide = std::bit_cast<typename vectors::doubles>(static_cast<typename vec::register_type>(v));
    const auto x = __builtin_convertvector(wide, typename vectors::floats);
    std::memcpy(p, &x, sizeof x);
  }
};

/// The lanes of a register as integers.
template <class Arch>
struct simd_words {
  static constexpr std::size_t lanes = xsimd::batch<float, Arch>::size;
  using register_type = typename xsimd::batch<float, Arch>::register_type;
  using words = typename lane_vectors<lanes>::words;
  using halves = typename lane_vectors<lanes>::halves;
  using floats = typename lane_vectors<lanes>::floats;

  static words read(const void* p) {
    halves h;
    std::memcpy(&h, p, sizeof h);
    return __builtin_convertvector(h, words);
  }
  /// Of words below 2^16.
  static void write(void* p, const words& w) {
#if defined(__AVX2__)
    if constexpr (lanes == 8) {  // the compilers take several instructions more
      const auto bits = std::bit_cast<__m256i>(w);
      const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(bits, bits), 0b1000);
      return _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
    }
#endif
    const halves h = __builtin_convertvector(w, halves);
    std::memcpy(p, &h, sizeof h);
  }
  static xsimd::batch<float, Arch> as_float(const words& w) {
    return xsimd::batch<float, Arch>(std::bit_cast<register_type>(w));
  }
  static words as_words(const xsimd::batch<float, Arch>& v) { return std::bit_cast<words>(static_cast<register_type>(v)); }
  /// All ones in the lanes that are NaN.
  static words not_a_number(const xsimd::batch<float, Arch>& v) {
    const auto lanes_of = std::bit_cast<floats>(as_words(v));
    return mask(lanes_of != lanes_of);
  }
  /// A comparison as words of all ones or zeros.
  template <class Comparison>
  static words mask(const Comparison& where) {
    return std::bit_cast<words>(where);
  }
  /// `where ? a : b`
  template <class Comparison>
  static words choose(const Comparison& where, const words& a, const words& b) {
    return (a & mask(where)) | (b & ~mask(where));
  }
};

template <class Arch>
struct simd_storage<bfloat16, float, Arch> {
  using vec = xsimd::batch<float, Arch>;
  using in = simd_words<Arch>;
  static vec load(const bfloat16* p) { return in::as_float(in::read(p) << 16); }
  static void store(bfloat16* p, const vec& v) {
    using words = typename in::words;
    const words w = in::as_words(v);
    const words nan = in::not_a_number(v);
    const words increment = 0x7fffu + ((w >> 16) & 1u);
    in::write(p, ((w + (increment & ~nan)) >> 16) | (nan & 0x40u));
  }
};

/// The formulas of `half`, on all lanes: by the instructions of the architecture if the type fits one, otherwise by integers.
template <class Arch>
struct simd_storage<half, float, Arch> {
  using vec = xsimd::batch<float, Arch>;
  using in = simd_words<Arch>;
  using words = typename in::words;

  static vec load(const half* p) {
#if defined(__AVX512F__)
    if constexpr (in::lanes == 16) return vec(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#endif
#if defined(__F16C__)
    if constexpr (in::lanes == 8) return vec(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    if constexpr (in::lanes == 4) return vec(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#endif
    const words bits = in::read(p);
    const words size = bits & 0x7fffu;
    const words finite = in::as_words(in::as_float(size << 13) * vec(0x1.0p112f));
    return in::as_float(in::choose(size < 0x7c00u, finite, (size << 13) | 0x7f800000u) | ((bits & 0x8000u) << 16));
  }
  static void store(half* p, const vec& v) {
#if defined(__AVX512F__)
    if constexpr (in::lanes == 16)
      return _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                                 _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#endif
#if defined(__F16C__)
    if constexpr (in::lanes == 8)
      return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    if constexpr (in::lanes == 4)
      return _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#endif
    const words w = in::as_words(v);
    const words size = w & 0x7fffffffu;
    const words subnormal = in::as_words(in::as_float(size) + vec(0.5f)) - std::bit_cast<std::uint32_t>(0.5f);
    const words normal = (size - (std::uint32_t{127 - 15} << 23) + 0xfffu + ((size >> 13) & 1u)) >> 13;
    words result = in::choose(size < 0x38800000u, subnormal, normal);
    result = in::choose(size >= 0x477ff000u, words{} + 0x7c00u, result);
    result = in::choose(size > 0x7f800000u, words{} + 0x7e00u, result);
    in::write(p, result | ((w >> 16) & 0x8000u));
  }
};

#endif

}  // namespace infalign::detail
