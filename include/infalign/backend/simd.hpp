// SPDX-License-Identifier: Apache-2.0
/// \file
/// The SIMD backend: the lanes of one xsimd register form the team. Templated on the architecture, by default the one that the
/// including translation unit is compiled for, so that units compiled with different `-march` never share a function.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/host_backend.hpp"
#include "infalign/backend/detail/simd_math.hpp"
#include "infalign/backend/detail/simd_sort.hpp"
#include "infalign/backend/detail/simd_storage.hpp"
#include "infalign/backend/simd_forward.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

template <class T, class Arch>
inline constexpr index_t simd_width = static_cast<index_t>(xsimd::batch<T, Arch>::size);

/// See `lanewise` in `core/math.hpp`.
template <class F, class T, class Arch>
INFALIGN_KEYED xsimd::batch<T, Arch> lanewise(const F& f, const xsimd::batch<T, Arch>& x) {
  alignas(Arch::alignment()) T lane[xsimd::batch<T, Arch>::size];
  x.store_aligned(lane);
  for (T& value : lane) value = static_cast<T>(f(value));
  return xsimd::batch<T, Arch>::load_aligned(lane);
}

/// Counts in the lanes of a `vec<T>`.
///
/// - Where masks are integers (AVX-512), counting is one masked addition of 1.
/// - Elsewhere a mask is a register. A true lane is the integer -1, so subtracting the mask adds 1: one instruction instead of
///   two. (From a selection between a summand and 0, GCC makes another comparison.)
template <class T, class Arch>
struct INFALIGN_KEYED simd_counts {
  using vec = xsimd::batch<T, Arch>;
  using vec_mask = xsimd::batch_bool<T, Arch>;
  using integer = xsimd::as_integer_t<T>;
  static constexpr bool masks_are_integers = requires(typename vec_mask::register_type mask) { static_cast<bool>(mask); };

  /// The mask as lanes of the vec. On some architectures its register is of another type, of the same size.
  static vec as_register(const vec_mask& mask) {
    return vec(std::bit_cast<typename vec::register_type>(static_cast<typename vec_mask::register_type>(mask)));
  }

  static vec add(const vec& counts, const vec_mask& where) {
    if constexpr (masks_are_integers)
      return xsimd::select(where, counts + vec(T(1)), counts);
    else
      return detail::simd_bits<T>(detail::simd_bits<integer>(counts) - detail::simd_bits<integer>(as_register(where)));
  }
  static auto values(const vec& counts) {
    if constexpr (masks_are_integers)
      return counts;
    else
      return detail::simd_bits<integer>(counts);
  }
};

/// The part that full registers and tails share.
template <class T, class Arch>
struct INFALIGN_KEYED simd_lanes {
  using vec = xsimd::batch<T, Arch>;
  using vec_mask = xsimd::batch_bool<T, Arch>;
  using counts = simd_counts<T, Arch>;

  [[nodiscard]] static vec add_where(const vec& sum, const vec_mask& where, const vec& v) {
    if constexpr (counts::masks_are_integers)
      return xsimd::select(where, sum + v, sum);
    else
      return sum + (counts::as_register(where) & v);
  }
  [[nodiscard]] static vec count_where(const vec& count, const vec_mask& where) { return counts::add(count, where); }
};

/// A full register of consecutive positions.
template <class T, class Arch>
struct INFALIGN_KEYED simd_position : simd_lanes<T, Arch> {
  using vec = xsimd::batch<T, Arch>;
  index_t i;

  explicit simd_position(index_t position) : i(position) {}
  template <class Storage>
  [[nodiscard]] vec load(const Storage* p, T = T()) const {
    return detail::simd_storage<Storage, T, Arch>::load(p + i);
  }
  template <class Storage>
  void store(Storage* p, const vec& v) const {
    detail::simd_storage<Storage, T, Arch>::store(p + i, v);
  }
  /// Some 20 steps ahead, what the arithmetic of the steps before takes about as long as memory. The address may lie behind the
  /// array.
  template <class Storage>
  void prefetch([[maybe_unused]] const Storage* p) const {
    [[maybe_unused]] constexpr std::uintptr_t ahead = 2048;
#if defined(__GNUC__)
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p + i) + ahead));
#endif
  }
  [[nodiscard]] static bool any(const xsimd::batch_bool<T, Arch>& mask) { return xsimd::any(mask); }
};

/// The first `count` lanes of a register: the positions that remain at the end of a loop.
template <class T, class Arch>
struct INFALIGN_KEYED simd_tail : simd_lanes<T, Arch> {
  using vec = xsimd::batch<T, Arch>;
  index_t i;
  index_t count;

  simd_tail(index_t position, index_t remaining) : i(position), count(remaining) {}
  template <class Storage>
  [[nodiscard]] vec load(const Storage* p, T pad = T()) const {
    alignas(Arch::alignment()) T lane[vec::size];
    vec(pad).store_aligned(lane);
    copy<vec::size / 2>(p + i, lane, count);
    return vec::load_aligned(lane);
  }
  [[nodiscard]] vec load_on(const T* p) const
    requires(vec::size <= detail::read_on)
  {
    return vec::load_unaligned(p + i);
  }
  template <class Storage>
  void store(Storage* p, const vec& v) const {
    alignas(Arch::alignment()) T lane[vec::size];
    v.store_aligned(lane);
    copy<vec::size / 2>(lane, p + i, count);
  }
  /// Ignores the lanes behind the end, which hold padding.
  [[nodiscard]] bool any(const xsimd::batch_bool<T, Arch>& mask) const {
    alignas(Arch::alignment()) bool lane[vec::size];
    mask.store_aligned(lane);
    return std::any_of(lane, lane + count, [](bool set) { return set; });
  }

 private:
  /// Copies pieces of fixed sizes, which compile to register moves. A loop of unknown length would become a function call.
  template <index_t Piece, class From, class To>
  static void copy(const From* from, To* to, index_t n) {
    if (n & Piece) {
      for (index_t k = 0; k < Piece; ++k) to[k] = static_cast<To>(static_cast<compute_t<To>>(from[k]));
      from += Piece;
      to += Piece;
    }
    if constexpr (Piece > 1) copy<Piece / 2>(from, to, n);
  }
};

/// The lanes of one register.
template <class Arch>
struct simd_team {
  template <class T>
  using vec = xsimd::batch<T, Arch>;
  template <class T>
  using positions = position_types<simd_position<T, Arch>, simd_tail<T, Arch>>;

  template <class T, int U = 1, class F>
  void loop(index_t n, F&& f) const {
    for_each<T, U>(0, n, f);
  }

  template <class T, int U, class F>
  static void for_each(index_t begin, index_t end, F&& f) {
    constexpr index_t width = simd_width<T, Arch>;
    index_t i = begin;
    for (; i + U * width <= end; i += U * width)
      [&]<int... K>(std::integer_sequence<int, K...>) {
        (f(simd_position<T, Arch>(i + K * width), accumulator_index<K>{}), ...);
      }(std::make_integer_sequence<int, U>{});
    if constexpr (U > 1)
      for (; i + width <= end; i += width) f(simd_position<T, Arch>(i), accumulator_index<0>{});
    if (i < end) f(simd_tail<T, Arch>(i, end - i), accumulator_index<0>{});
  }

  template <class F>
  void items(index_t n, F&& f) const {
    for (index_t i = 0; i < n; ++i) f(i);
  }
  template <class F>
  [[nodiscard]] double sum_items(index_t n, F&& f) const {
    double sum = 0;
    for (index_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
  template <class T>
  [[nodiscard]] static double sum(const xsimd::batch<T, Arch>& v) {
    if constexpr (requires { reduce_add(v); })
      return static_cast<double>(reduce_add(v));
    else
      return static_cast<double>(hadd(v));
  }
  template <class T>
  [[nodiscard]] static double count(const xsimd::batch<T, Arch>& counts) {
    return sum(simd_counts<T, Arch>::values(counts));
  }
  template <class T>
  [[nodiscard]] static double maximum(const xsimd::batch<T, Arch>& v) {
    alignas(Arch::alignment()) T lane[xsimd::batch<T, Arch>::size];
    v.store_aligned(lane);
    return static_cast<double>(*std::max_element(lane, lane + xsimd::batch<T, Arch>::size));
  }
  template <class F>
  void once(F&& f) const {
    f();
  }
  /// Short enough for the first-level cache, and for sums of `float` lanes that stay accurate.
  template <class T>
  [[nodiscard]] static constexpr index_t chunk() {
    return (1 << 14) / static_cast<index_t>(sizeof(T));
  }
};

/// Backend of SIMD registers on host memory, on the calling thread or by an executor. See `backend.hpp` for the meaning of its
/// members.
template <class Arch>
class basic_simd : public detail::host_backend<basic_simd<Arch>> {
 public:
  using team_type = simd_team<Arch>;
  basic_simd() = default;
  template <class Executor>
    requires(!std::same_as<Executor, basic_simd> && executor_function<Executor>)
  explicit basic_simd(Executor run_tasks) : detail::host_backend<basic_simd>(executor(std::move(run_tasks))) {}

  template <class T, class F>
  static void for_each(index_t begin, index_t end, const F& f) {
    simd_team<Arch>::template for_each<T, 1>(begin, end, f);
  }

  template <class G, class T>
  void sort(const G& groups, T* out) {
    if constexpr (std::floating_point<T>) {
      using tile = detail::simd_sort<T, Arch>;
      this->run(groups.size(), 2 * groups.total(), [&](index_t begin, index_t end) {
        for (index_t g = begin; g < end; g += tile::width) {
          const index_t count = std::min(tile::width, end - g);
          if (tile::sort(groups, g, count, out)) continue;
          for (index_t i = g; i < g + count; ++i) this->sort_group(groups, i, out);
        }
      });
    } else {
      detail::host_backend<basic_simd>::sort(groups, out);
    }
  }
};

/// For the instruction set that the including translation unit is compiled for.
using simd = basic_simd<xsimd::default_arch>;

static_assert(backend<simd>);

}  // namespace infalign
