// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the benchmarks share: input data, and the figures that each reports. Every benchmark of the library stands beside what one
/// would write without it, on the same data in the same program. What counts is the ratio of the two.
#pragma once

#include <benchmark/benchmark.h>

#include <infalign/infalign.hpp>
#include <random>
#include <vector>

namespace infalign::bench {

template <class T>
std::vector<T> normal_values(index_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<T> normal;
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = normal(generator);
  return values;
}

/// Per iteration: `items` results, and the bytes that any implementation must move between memory and the core.
inline void report(benchmark::State& state, index_t items, index_t bytes) {
  state.SetItemsProcessed(state.iterations() * items);
  state.SetBytesProcessed(state.iterations() * bytes);
}

/// Runs `work` once per iteration and keeps the compiler from dropping what it writes.
template <class Work>
void measure(benchmark::State& state, Work&& work) {
  for (auto _ : state) {
    work();
    benchmark::ClobberMemory();
  }
}

}  // namespace infalign::bench
