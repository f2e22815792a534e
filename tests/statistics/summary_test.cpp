// SPDX-License-Identifier: Apache-2.0
#include "infalign/statistics/summary.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "support/samples.hpp"

using infalign::estimate;
using infalign::estimate_of;
using infalign::index_t;
using infalign::summary;
namespace test = infalign::test;

static_assert(std::is_trivially_copyable_v<summary> && std::is_aggregate_v<summary>);
static_assert(std::is_trivially_copyable_v<estimate> && std::is_aggregate_v<estimate>);

namespace {

constexpr double epsilon = 0x1p-53;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Mean and squared deviations by their definitions, in a wider type.
struct definition {
  long double mean = 0;
  long double m2 = 0;
  long double largest = 0;

  explicit definition(const std::vector<double>& values) {
    for (const double v : values) mean += static_cast<long double>(v);
    mean /= static_cast<long double>(values.size());
    for (const double v : values) {
      m2 += (static_cast<long double>(v) - mean) * (static_cast<long double>(v) - mean);
      largest = std::max(largest, std::abs(static_cast<long double>(v)));
    }
  }
};

/// After n values or merges: the mean takes up to three roundings of its size a step; the bound of Chan, Golub and LeVeque for m2
/// is n·κ·ε with κ² = 1 + mean²/variance. Both doubled, for terms of higher order.
void check_close(const summary& found, const std::vector<double>& values) {
  const definition expected(values);
  const auto n = static_cast<double>(values.size());
  const auto m2 = static_cast<double>(expected.m2);
  const double condition = std::sqrt(1 + static_cast<double>(expected.mean * expected.mean) * n / m2);
  CHECK(found.count == static_cast<index_t>(values.size()));
  CHECK(std::abs(static_cast<double>(static_cast<long double>(found.mean) - expected.mean)) <=
        6 * n * epsilon * static_cast<double>(expected.largest));
  CHECK(std::abs(found.m2 - m2) <= 2 * n * condition * epsilon * m2);
}

summary of_all(const std::vector<double>& values) {
  summary all;
  for (const double v : values) all.add(v);
  return all;
}

std::vector<double> shifted(std::vector<double> values, double offset) {
  for (double& v : values) v += offset;
  return values;
}

}  // namespace

TEST_CASE("one by one: mean and squared deviations by their definitions") {
  for (const double offset : {0.0, 1.0, -1e4, 1e9})
    for (const index_t n : {2, 3, 17, 1000}) {
      CAPTURE(offset);
      CAPTURE(n);
      const auto values = shifted(test::normal_values<double>(n, static_cast<std::uint64_t>(n)), offset);
      check_close(of_all(values), values);
    }
}

TEST_CASE("a large mean leaves the variance its digits") {
  // {-1, 0, 1} about 1e9, where a sum of squares has lost everything: its rounding, 1e18·2⁻⁵³·n, is a hundred times the variance.
  const summary found = of_all({1e9 - 1, 1e9, 1e9 + 1});
  CHECK(found.mean == 1e9);
  CHECK(found.m2 == 2.0);
}

TEST_CASE("the merge of parts is the summary of the whole, however it is split") {
  std::mt19937_64 generator(1);
  for (const double offset : {0.0, 1e9}) {
    const auto values = shifted(test::normal_values<double>(500, 2), offset);
    for (int repetition = 0; repetition < 20; ++repetition) {
      summary all;
      for (std::size_t begin = 0; begin < values.size();) {
        // Parts of any size, none among them.
        const std::size_t end = std::min(values.size(), begin + std::uniform_int_distribution<std::size_t>(0, 90)(generator));
        all.merge(
            of_all({values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(end)}));
        begin = end;
      }
      check_close(all, values);
    }
  }
}

TEST_CASE("merging is exact where the numbers are: two parts of unequal size and mean") {
  summary found = of_all({0, 2});           // mean 1, m2 2
  found.merge(of_all({4, 5, 6, 7, 8, 6}));  // mean 6, m2 10
  CHECK(found.count == 8);
  CHECK(found.mean == 4.75);
  CHECK(found.m2 == 2 + 10 + 25.0 * 2 * 6 / 8);  // m2 + m2' + δ²·n·n'/(n + n')
}

TEST_CASE("merging does not depend on order or grouping, up to rounding") {
  const auto part = [](index_t n, std::uint64_t seed, double offset) {
    return of_all(shifted(test::normal_values<double>(n, seed), offset));
  };
  const summary a = part(100, 1, 5), b = part(7, 2, -3), c = part(1000, 3, 0.25);
  const auto merged = [](summary first, const summary& second) {
    first.merge(second);
    return first;
  };
  const summary results[] = {merged(merged(a, b), c), merged(a, merged(b, c)), merged(c, merged(b, a)),
                             merged(merged(c, a), b)};
  for (const summary& s : results) {
    CHECK(s.count == 1107);
    // Two merges: three roundings each of numbers up to 5; m2 takes as many, and twice those of the differences of means.
    CHECK(std::abs(s.mean - results[0].mean) <= 2 * 2 * 3 * 5 * epsilon);
    CHECK(std::abs(s.m2 - results[0].m2) <= 2 * 2 * 12 * epsilon * results[0].m2);
  }
}

TEST_CASE("an empty summary changes nothing, on either side") {
  // Among them values whose squares overflow, and infinity, which times the share of none is not a number.
  for (const summary& some : {of_all({0.1, 0.7, 0.30000000000000004}), of_all({1e200}), summary{2, infinity, 0}}) {
    summary right = some, left;
    right.merge({});
    left.merge(some);
    for (const summary& s : {right, left}) {
      CHECK(s.count == some.count);
      CHECK(s.mean == some.mean);
      CHECK(s.m2 == some.m2);
    }
  }
  summary none;
  none.merge({});
  CHECK(none.count == 0);
  CHECK(none.mean == 0);
  CHECK(none.m2 == 0);
}

TEST_CASE("NaN stays") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  summary bad = of_all({1, nan, 2});
  CHECK(std::isnan(bad.mean));
  CHECK(std::isnan(bad.m2));
  summary good = of_all({1, 2});
  good.merge(bad);
  CHECK(good.count == 5);
  CHECK(std::isnan(good.mean));
  CHECK(std::isnan(estimate_of(good).standard_error));
}

TEST_CASE("an estimate from a summary") {
  const summary four = of_all({1, 2, 3, 6});  // mean 3, m2 14
  const estimate e = estimate_of(four);
  CHECK(e.value == 3);
  CHECK(e.standard_error == doctest::Approx(std::sqrt(14.0 / 3 / 4)).epsilon(1e-15));
  CHECK(e.count == 4);
  CHECK(e.lowest == -infinity);
  CHECK(e.highest == infinity);
  const estimate bounded = estimate_of(four, infalign::win_rate_difference_range);
  CHECK(bounded.value == 3);  // not cut
  CHECK(bounded.lowest == -1);
  CHECK(bounded.highest == 1);
  CHECK(estimate_of(of_all({0.75})).value == 0.75);
  CHECK(estimate_of(of_all({0.75})).standard_error == infinity);
  CHECK(std::isnan(estimate_of(summary{}).value));
  CHECK(estimate_of(summary{}).standard_error == infinity);
  CHECK(estimate_of(summary{}).count == 0);
}

TEST_CASE("the ranges of the quantities") {
  CHECK(infalign::win_rate_range.lowest == 0);
  CHECK(infalign::win_rate_range.highest == 1);
  CHECK(infalign::not_negative_range.lowest == 0);
  CHECK(infalign::not_negative_range.highest == infinity);
  const estimate named{.value = 0.5, .standard_error = 0.1, .count = 3, .lowest = 0, .highest = 1};
  CHECK(named.highest == 1);
}
