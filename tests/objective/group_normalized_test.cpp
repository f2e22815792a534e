// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/advantage/group_normalized.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
namespace test = infalign::test;

TEST_CASE_TEMPLATE("group-normalised advantages by definition, rows and ragged, also in place", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<index_t> sizes{2, 9, 33, 4};
  const auto offsets = test::offsets_of(sizes);
  const auto values = test::normal_values<T>(offsets.back(), 3);
  std::vector<double> expected;
  for (std::size_t g = 0; g < sizes.size(); ++g) {
    const auto begin = static_cast<std::size_t>(offsets[g]), end = static_cast<std::size_t>(offsets[g + 1]);
    long double mean = 0, squares = 0;
    for (std::size_t i = begin; i < end; ++i) mean += static_cast<long double>(values[i]);
    mean /= static_cast<long double>(end - begin);
    for (std::size_t i = begin; i < end; ++i) squares += std::pow(static_cast<long double>(values[i]) - mean, 2);
    const long double sd = std::sqrt(squares / static_cast<long double>(end - begin - 1));
    for (std::size_t i = begin; i < end; ++i)
      expected.push_back(static_cast<double>((static_cast<long double>(values[i]) - mean) / (sd + 0.01L)));
  }
  typename C::template array<T> rewards(values), out(offsets.back());
  typename C::template array<index_t> bounds(offsets);
  infalign::group_normalized_advantage(on, rewards.ragged(bounds), out.ragged(bounds), {.epsilon = 0.01});
  infalign::group_normalized_advantage(on, rewards.rows(1, 2), rewards.rows(1, 2), {.epsilon = 0.01});
  const double tolerance = 16 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(std::abs(static_cast<double>(out.host()[i]) - expected[i]) <= tolerance * (1 + std::abs(expected[i])));
  for (std::size_t i = 0; i < 2; ++i) CHECK(rewards.host()[i] == out.host()[i]);
}

TEST_CASE_TEMPLATE("equal rewards have no advantage, and what is refused", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> rewards(6, T(0.3)), out(6, T(-9));
  infalign::group_normalized_advantage(on, rewards.rows(2, 3), out.rows(2, 3));
  CHECK(out.host() == std::vector<T>(6, T(0)));
  const auto message = [&](index_t columns, double epsilon) {
    return test::message_of<infalign::error>([&] {
      infalign::group_normalized_advantage(on, rewards.rows(2, columns), out.rows(2, columns), {.epsilon = epsilon});
    });
  };
  CHECK(message(1, 0.1) == "group_normalized_advantage: rewards[0] has 1 values, a spread needs at least two");
  CHECK(message(3, 0) == "group_normalized_advantage: epsilon is 0, must be positive and finite");
}

// A published pitfall: rewards that differ by rounding alone, whose spread the division makes 1 again.
TEST_CASE_TEMPLATE("rewards that are equal up to rounding have next to no advantage", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const T next = std::nextafter(T(0.3), T(1));
  typename C::template array<T> rewards(std::vector<T>{T(0.3), next, T(0.3), next}), out(4, T(-9));
  infalign::group_normalized_advantage(on, rewards.rows(1, 4), out.rows(1, 4));
  for (const T a : out.host()) CHECK(std::abs(static_cast<double>(a)) <= static_cast<double>(next - T(0.3)) / 1e-4);
}
