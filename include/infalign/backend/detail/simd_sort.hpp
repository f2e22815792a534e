// SPDX-License-Identifier: Apache-2.0
/// \file
/// Sorts many short groups at once: each lane of the registers holds a group of its own, so that no step of sorting needs a branch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <xsimd/xsimd.hpp>

#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// The positions of a group are rows of a tile, and its lanes are groups. What is exchanged between two rows depends on their numbers
/// alone: Batcher's odd-even merge sort. A group of 64 takes 543 exchanges, which are those of a whole tile; one of 1024 takes 24,063.
template <class T, class Arch>
class INFALIGN_KEYED simd_sort {
  using vec = xsimd::batch<T, Arch>;

 public:
  static constexpr index_t width = static_cast<index_t>(vec::size);
  /// A tile of the longest groups stays in the second-level cache, and on the stack.
  static constexpr index_t longest = 1024;

  /// Sorts the groups `[first, first + count)`, at most `width`, to `out`, if they go into one tile that is at least half full. False
  /// where they do not: then nothing is written. NaN gives any order.
  template <class G>
  [[nodiscard]] static bool sort(const G& groups, index_t first, index_t count, T* out) {
    index_t n = 0, values = 0;
    for (index_t lane = 0; lane < count; ++lane) {
      n = std::max(n, groups[first + lane].size());
      values += groups[first + lane].size();
    }
    if (n > longest || 2 * values < n * count) return false;
    alignas(Arch::alignment()) T tile[static_cast<std::size_t>(longest * width)];
    for (index_t lane = 0; lane < width; ++lane) {
      const index_t size = lane < count ? groups[first + lane].size() : 0;
      for (index_t i = 0; i < size; ++i) tile[i * width + lane] = groups[first + lane][i];
      for (index_t i = size; i < n; ++i) tile[i * width + lane] = infinity<T>;
    }
    sort_rows(tile, n);
    for (index_t lane = 0; lane < count; ++lane) {
      T* const sorted = out + groups.offset(first + lane);
      const index_t size = groups[first + lane].size();
      for (index_t i = 0; i < size; ++i) sorted[i] = tile[i * width + lane];
    }
    return true;
  }

 private:
  /// Source: K. E. Batcher, Sorting networks and their applications, AFIPS 1968, for any number of rows.
  static void sort_rows(T* tile, index_t n) {
    for (index_t sorted = 1; sorted < n; sorted *= 2)
      for (index_t apart = sorted; apart >= 1; apart /= 2)
        for (index_t begin = apart % sorted; begin + apart < n; begin += 2 * apart) {
          const index_t end = std::min(begin + apart, n - apart);
          for (index_t i = begin; i < end; ++i)
            if (((i ^ (i + apart)) & -(2 * sorted)) == 0)  // both in one block of 2·sorted rows
              exchange(tile + i * width, tile + (i + apart) * width);
        }
  }
  /// The smaller values to the first row. By a comparison: minimum and maximum would lose the sign of a zero, and NaN.
  static void exchange(T* first, T* second) {
    const vec a = vec::load_aligned(first), b = vec::load_aligned(second);
    const auto swap = b < a;
    xsimd::select(swap, b, a).store_aligned(first);
    xsimd::select(swap, a, b).store_aligned(second);
  }
};

}  // namespace infalign::detail
