// SPDX-License-Identifier: Apache-2.0
/// \file
/// Data for tests: reproducible values and shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign::test {

/// How often a simulation draws. Tolerances follow from it by the standard error; where memory is what is tested, a fraction is enough.
constexpr int draws(int n) {
#if INFALIGN_TEST_GRID_MIXED
  return n / 25;
#else
  return n;
#endif
}

/// The step of a loop over cases that differ in their numbers alone: where memory is what is tested, every n-th is enough.
template <class Index = std::size_t>
constexpr Index stride([[maybe_unused]] std::type_identity_t<Index> n) {
#if INFALIGN_TEST_GRID_MIXED
  return n;
#else
  return 1;
#endif
}

/// More lanes than any register has.
inline constexpr index_t widest = 16;

/// Sizes around the register widths: nothing, less than a register, one, two, and one more.
inline std::vector<index_t> sizes_around_registers() {
  return {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 2 * widest + 1};
}

template <class T>
std::vector<T> normal_values(index_t n, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = static_cast<T>(normal(generator));
  return values;
}

/// Whole numbers 0 … levels-1, so that many are equal.
template <class T>
std::vector<T> tied_values(index_t n, std::uint64_t seed, int levels) {
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<int> level(0, levels - 1);
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = static_cast<T>(level(generator));
  return values;
}

/// Values on [0, 1] with both ends and what is next to them.
template <class T>
std::vector<T> unit_values(index_t n, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform;
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = static_cast<T>(uniform(generator));
  const T special[] = {T(0), T(1), T(0.5), T(1) - std::numeric_limits<T>::epsilon() / 2, T(1e-6)};
  for (std::size_t i = 0; i < values.size() && i < 5; ++i) values[i] = special[i];
  return values;
}

/// The larger of an error so far and another, in which a NaN is not lost.
inline double larger(double worst, double error) {
  return error <= worst ? worst : error;
}

inline std::vector<index_t> offsets_of(const std::vector<index_t>& sizes) {
  std::vector<index_t> offsets{0};
  for (const index_t n : sizes) offsets.push_back(offsets.back() + n);
  return offsets;
}

/// Equal to the bit, which tells -0 from 0 and finds a NaN equal to itself.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// The message of the `Error` that `call` throws; another exception, or none, is told apart from every message.
template <class Error, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another type of exception: ") + e.what();
  }
  return "nothing thrown";
}

}  // namespace infalign::test
