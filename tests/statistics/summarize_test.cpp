// SPDX-License-Identifier: Apache-2.0
#include "infalign/statistics/summarize.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::summarize;
namespace test = infalign::test;

TEST_CASE_TEMPLATE("mean and standard error by their formulas", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : {2, 3, 16, 17, 1000, 100'000}) {
    const auto values = test::normal_values<T>(n, static_cast<std::uint64_t>(n));
    long double sum = 0, squares = 0;
    for (const T v : values) sum += static_cast<long double>(v);
    const long double mean = sum / static_cast<long double>(n);
    for (const T v : values) squares += (static_cast<long double>(v) - mean) * (static_cast<long double>(v) - mean);
    const long double count = static_cast<long double>(n);
    typename C::template array<T> x(values);
    const auto result = summarize(on, x.span());
    // Rounding of a sum of n terms: at most n·2⁻⁵³ of the mean size of a term, which is about 1.
    CHECK(std::abs(result.value - static_cast<double>(mean)) <= 1.2e-16 * static_cast<double>(n));
    CHECK(result.standard_error ==
          doctest::Approx(static_cast<double>(std::sqrt(squares / (count - 1) / count))).epsilon(1e-11));
    CHECK(result.count == n);
  }
}

TEST_CASE_TEMPLATE("nearly equal values keep their digits", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  // Offsets that the type holds exactly; the variance of {-1, 0, 1} · d is d², that of the mean d²/3.
  const T large = static_cast<T>(1 << 20);
  const T d = std::numeric_limits<T>::epsilon() * large * 4;
  typename C::template array<T> x(std::vector<T>{large - d, large, large + d});
  const auto result = summarize(on, x.span());
  CHECK(result.value == static_cast<double>(large));
  CHECK(result.standard_error == doctest::Approx(static_cast<double>(d) / std::sqrt(3.0)).epsilon(1e-12));
}

TEST_CASE_TEMPLATE("what lies behind the values is not looked at", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : {1, 7, 1000, 1024, 1500}) {
    std::vector<T> values(static_cast<std::size_t>(n) + 40, std::numeric_limits<T>::quiet_NaN());
    std::fill_n(values.begin(), n, T(0.5));
    typename C::template array<T> x(values);
    const auto all = x.span();
    CHECK(summarize(on, decltype(all)(all.data(), n)).value == 0.5);
  }
}

TEST_CASE_TEMPLATE("one value has no known error, equal values have none", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> one(std::vector<T>{T(0.75)}), equal(std::vector<T>(10, T(0.75)));
  CHECK(summarize(on, one.span()).value == 0.75);
  CHECK(summarize(on, one.span()).standard_error == std::numeric_limits<double>::infinity());
  CHECK(summarize(on, one.span()).count == 1);
  CHECK(summarize(on, equal.span()).value == 0.75);
  CHECK(summarize(on, equal.span()).standard_error == 0.0);
}

TEST_CASE_TEMPLATE("the 95 % interval covers the mean in 95 % of samples", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  constexpr int repetitions = 2000;
  constexpr std::size_t n = 200;
  std::mt19937_64 generator(3);
  std::uniform_real_distribution<double> uniform;
  int covered = 0;
  for (int r = 0; r < repetitions; ++r) {
    std::vector<T> values(n);
    for (T& v : values) v = static_cast<T>(uniform(generator));
    typename C::template array<T> x(values);
    const auto interval = summarize(on, x.span()).interval(0.95);
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  // Four standard errors of a share of 0.95, and 0.002 for the normal interval in place of Student's.
  CHECK(std::abs(static_cast<double>(covered) / repetitions - 0.95) <= 4 * std::sqrt(0.95 * 0.05 / repetitions) + 0.002);
}

TEST_CASE_TEMPLATE("the summary behind an estimate: parts merge to the whole", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto values = test::normal_values<T>(1000, 5);
  typename C::template array<T> whole(values);
  const infalign::estimate expected = summarize(on, whole.span(), infalign::win_rate_difference_range);
  CHECK(expected.lowest == -1);
  CHECK(expected.highest == 1);
  CHECK(summarize(on, whole.span()).highest == std::numeric_limits<double>::infinity());
  const infalign::summary all = infalign::summary_of(on, whole.span());
  CHECK(all.count == 1000);
  CHECK(all.mean == expected.value);
  CHECK(estimate_of(all).standard_error == expected.standard_error);
  infalign::summary merged;
  for (const auto& [begin, end] : {std::pair(0, 1), std::pair(1, 400), std::pair(400, 1000)}) {
    typename C::template array<T> part(std::vector<T>(values.begin() + begin, values.begin() + end));
    merged.merge(infalign::summary_of(on, part.span()));
  }
  CHECK(merged.count == 1000);
  // The rounding of sums of 1000 terms of size 1, before or after the merges.
  CHECK(std::abs(merged.mean - all.mean) <= 2 * 1000 * 0x1p-53);
  CHECK(std::abs(merged.m2 - all.m2) <= 4 * 1000 * 0x1p-53 * all.m2);
}

TEST_CASE_TEMPLATE("no values, NaN and infinities are errors", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> none;
  CHECK(test::message_of<infalign::shape_error>([&] { (void)summarize(on, none.span()); }) == "summarize: values is empty");
  CHECK(test::message_of<infalign::shape_error>([&] { (void)infalign::summary_of(on, none.span()); }) ==
        "summary_of: values is empty");
  typename C::template array<T> bad(std::vector<T>{0, 1, std::numeric_limits<T>::quiet_NaN()});
  CHECK(test::message_of<infalign::domain_error>([&] { (void)summarize(on, bad.span()); }) ==
        "summarize: values[2] is nan, must be finite");
  typename C::template array<T> infinite(std::vector<T>{0, std::numeric_limits<T>::infinity()});
  CHECK(test::message_of<infalign::domain_error>([&] { (void)summarize(on, infinite.span()); }) ==
        "summarize: values[1] is inf, must be finite");
}
