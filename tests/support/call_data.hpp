// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the lists of calls (`every_call.hpp` of each folder) share.
///
/// A list of calls is a class template over a configuration `C`: inputs and outputs in the memory of its backend, `run(on)`, which
/// calls every algorithm of the folder once on data large enough to be cut into several tasks, and `results()`, all that was computed.
/// The tests of the backends repeat, count and compare it, so an algorithm that stands there is tested on every backend, by every
/// executor, for allocations, and compiled for every GPU.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "infalign/core/math.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

namespace infalign::test {

/// Enough groups to be cut into several tasks; few where each thread of a GPU may be a fiber. Where memory is what is tested only the
/// costly algorithms are cut: every allocation fails in turn there, and with each all calls are repeated.
#if INFALIGN_TEST_CUDA
inline constexpr index_t many_groups = 60;
#elif INFALIGN_TEST_GRID_MIXED
inline constexpr index_t many_groups = 300;
#else
inline constexpr index_t many_groups = 1500;
#endif

/// Results by array; a tolerance belongs to each, relative to the largest value of the array: the unit of the last place of what it
/// was rounded to.
struct call_result {
  double unit;
  std::vector<double> values;
  friend bool operator==(const call_result&, const call_result&) = default;
};
using call_results = std::vector<call_result>;

/// The values of an array of a configuration, and the rounding of its type.
template <class Array>
call_result result_of(const Array& array) {
  const auto values = array.host();
  using S = typename std::remove_cvref_t<decltype(values)>::value_type;
  call_result result{sizeof(S) == 2 ? 0x1p-8 : sizeof(S) == 4 ? 0x1p-23 : 0x1p-52, {}};
  for (const auto& x : values) result.values.push_back(static_cast<double>(static_cast<compute_t<S>>(x)));
  return result;
}

inline std::vector<index_t> equal_offsets(index_t n, index_t size) {
  return offsets_of(std::vector<index_t>(static_cast<std::size_t>(n), size));
}
/// Sizes size-1, size+1, size-1, …
inline std::vector<index_t> alternating_offsets(index_t n, index_t size) {
  auto offsets = equal_offsets(n, size);
  for (std::size_t i = 1; i < offsets.size(); i += 2) --offsets[i];
  return offsets;
}

}  // namespace infalign::test
