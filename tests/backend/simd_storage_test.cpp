// SPDX-License-Identifier: Apache-2.0
#include "infalign/backend/detail/simd_storage.hpp"

#include <doctest/doctest.h>

#include <cstddef>

#include "infalign/backend/simd.hpp"

namespace {

/// Stores and loads the lanes of `T` as `Storage`.
template <class Storage, class T>
void check_lanes() {
  using storage = infalign::detail::simd_storage<Storage, T, xsimd::default_arch>;
  using vec = xsimd::batch<T>;
  constexpr std::size_t width = vec::size;
  alignas(64) T in[width], out[width];
  Storage stored[width];
  for (std::size_t i = 0; i < width; ++i) in[i] = static_cast<T>(i + 1);
  storage::store(stored, vec::load_aligned(in));
  storage::load(stored).store_aligned(out);
  for (std::size_t i = 0; i < width; ++i) {
    CHECK(static_cast<float>(stored[i]) == static_cast<float>(i + 1));
    CHECK(out[i] == in[i]);
  }
}

}  // namespace

TEST_CASE("every lane is stored and loaded, whatever its type in memory") {
  check_lanes<infalign::half, float>();
  check_lanes<infalign::half, double>();
  check_lanes<infalign::bfloat16, float>();
  check_lanes<infalign::bfloat16, double>();
  check_lanes<float, float>();
  check_lanes<float, double>();
  check_lanes<double, float>();
  check_lanes<double, double>();
}
