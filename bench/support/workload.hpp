// SPDX-License-Identifier: Apache-2.0
/// \file
/// Data for benchmarks, and how they report: bytes that any algorithm must move, and items, a second.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <infalign/infalign.hpp>
#include <random>
#include <vector>

namespace infalign::bench {

template <class T>
std::vector<T> normal_values(index_t n, std::uint64_t seed = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<T> normal;
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = normal(generator);
  return values;
}

template <class T>
std::vector<T> uniform_values(index_t n, std::uint64_t seed = 1) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<T> uniform(T(0.001), T(0.999));
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = uniform(generator);
  return values;
}

/// `bytes` and `items` of one iteration.
inline void report(benchmark::State& state, std::size_t bytes, index_t items) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(state.iterations() * items);
}

/// Runs `work` until it is measured.
template <class Work>
void measure(benchmark::State& state, std::size_t bytes, index_t items, Work&& work) {
  for (auto _ : state) {
    work();
    benchmark::ClobberMemory();
  }
  report(state, bytes, items);
}

/// The physical limit: as many bytes read as written.
template <class T>
void measure_copy(benchmark::State& state, index_t n, index_t items) {
  const std::vector<T> in(static_cast<std::size_t>(n), T(1));
  std::vector<T> out(static_cast<std::size_t>(n));
  measure(state, 2 * in.size() * sizeof(T), items, [&] { std::memcpy(out.data(), in.data(), in.size() * sizeof(T)); });
}

/// A backend, with or without the search for bad values.
template <class Backend, bool Checked>
auto make_backend() {
  if constexpr (Checked)
    return Backend();
  else
    return Backend().unchecked();
}

}  // namespace infalign::bench
