// SPDX-License-Identifier: Apache-2.0
/// \file
/// 16-bit storage types for logits and their gradient. They store; everything is computed in `float`.
///
/// Their layout is that of the frameworks' types, so `reinterpret_cast<infalign::bfloat16*>` of a pointer to `c10::BFloat16`,
/// `__nv_bfloat16` (likewise `half`: `c10::Half`, `__half`) is a view of the same data.
#pragma once

#include <cstdint>

#include "infalign/core/config.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

namespace detail {
/// std::bit_cast that device code may call.
template <class To, class From>
INFALIGN_HD constexpr To bit_cast(const From& from) {
  return __builtin_bit_cast(To, from);
}
}  // namespace detail

/// The upper half of a `float`: 8 bits of exponent, 8 of significand. Conversion from `float` rounds to nearest, ties to even;
/// NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  INFALIGN_HD explicit bfloat16(float value) {
    const auto word = detail::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = word + 0x7fffu + ((word >> 16) & 1u);
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>(nan ? (word >> 16) | 0x40u : rounded >> 16);
  }
  INFALIGN_HD operator float() const { return detail::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// IEEE 754 binary16: 5 bits of exponent, 11 of significand, up to 65,504. Conversion from `float` rounds to nearest, ties to
/// even; larger values become infinite; NaN stays NaN.
struct half {
  std::uint16_t bits = 0;

  half() = default;
  INFALIGN_HD explicit half(float value) {
    const auto word = detail::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (word >> 16) & 0x8000u;
    const std::uint32_t size = word & 0x7fffffffu;
    bits = static_cast<std::uint16_t>(sign | (size < 0x38800000u ? subnormal(size) : normal(size)));
  }
  INFALIGN_HD operator float() const {
    const std::uint32_t size = bits & 0x7fffu;
    // Shifted by 13 bits, exponent and significand stand where a float has them. The exponent then counts from 15 instead of
    // 127, so the number is too small by 2^112. The product puts that right, for subnormal numbers too.
    const float scaled = detail::bit_cast<float>(size << 13) * 0x1.0p112f;
    const std::uint32_t finite = detail::bit_cast<std::uint32_t>(scaled);
    const std::uint32_t word = size < 0x7c00u ? finite : 0x7f800000u | (size << 13);
    return detail::bit_cast<float>(word | ((bits & 0x8000u) << 16));
  }

 private:
  /// Below 2^-14 a half is a multiple of 2^-24, and its bits are that multiple. Floats in [½, 1) have the same spacing: so
  /// adding ½ rounds to a multiple, and the bits above those of ½ are its number.
  INFALIGN_HD static std::uint32_t subnormal(std::uint32_t size) {
    return detail::bit_cast<std::uint32_t>(detail::bit_cast<float>(size) + 0.5f) - detail::bit_cast<std::uint32_t>(0.5f);
  }
  INFALIGN_HD static std::uint32_t normal(std::uint32_t size) {
    constexpr std::uint32_t rebias = std::uint32_t{127 - 15} << 23;
    if (size > 0x7f800000u) return 0x7e00u;   // NaN
    if (size >= 0x477ff000u) return 0x7c00u;  // 65,520 and more round to infinity
    return (size - rebias + 0xfffu + ((size >> 13) & 1u)) >> 13;
  }
};

template <>
struct compute_type<bfloat16> {
  using type = float;
};
template <>
struct compute_type<half> {
  using type = float;
};

}  // namespace infalign
