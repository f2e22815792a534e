// SPDX-License-Identifier: Apache-2.0
#include "infalign/statistics/estimate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "infalign/statistics/summary.hpp"
#include "support/samples.hpp"

using infalign::confidence_interval;
using infalign::estimate;

namespace {
constexpr double inf = std::numeric_limits<double>::infinity();
}

TEST_CASE("without a range, the interval is Student's") {
  // Tabulated quantiles with 4 degrees of freedom.
  const estimate e{0.5, 0.01, 5};
  const auto check = [&](double level, double t) {
    const confidence_interval interval = e.interval(level);
    CHECK(interval.low == doctest::Approx(0.5 - t * 0.01).epsilon(1e-12));
    CHECK(interval.high == doctest::Approx(0.5 + t * 0.01).epsilon(1e-12));
  };
  check(0.95, 2.7764451051977944);
  check(0.99, 4.604094871349993);
  CHECK(e.interval().low == e.interval(0.95).low);
  // Half a range, that of a KL, only cuts.
  const estimate kl{0.01, 0.01, 5, 0, inf};
  CHECK(kl.interval().low == 0);
  CHECK(kl.interval().high == doctest::Approx(0.01 + 2.7764451051977944 * 0.01).epsilon(1e-12));
}

TEST_CASE("within a range, the interval is that of the values and z²/2 pseudo-values at either end") {
  // z²/2 = 8 pseudo-values are 16 whole ones: the interval of the longer list with the shorter one's degrees of freedom.
  const double level = std::erf(4 / std::sqrt(2.0));
  infalign::summary values, longer;
  for (const double x : {0.25, 0.5, 0.9, 1.0, 0.75}) values.add(x), longer.add(x);
  for (int i = 0; i < 8; ++i) longer.add(0), longer.add(1);
  const confidence_interval got = estimate_of(values, infalign::win_rate_range).interval(level);
  const estimate e = estimate_of(longer);
  const double half = -infalign::student_t_quantile(0.5 * (1 - level), 4) * e.standard_error;
  CHECK(got.low == std::max(0.0, e.value - half));
  CHECK(got.high == std::min(1.0, e.value + half));

  infalign::summary many;
  for (int i = 0; i < 4000; ++i) many.add(i % 4 == 0 ? 0 : 1), longer.add(i % 4 == 0 ? 0 : 1);
  infalign::summary padded = many;
  for (int i = 0; i < 8; ++i) padded.add(0), padded.add(1);
  const confidence_interval within = estimate_of(many, infalign::win_rate_range).interval(level);
  const double t = -infalign::student_t_quantile(0.5 * (1 - level), 3999);
  CHECK(within.low == doctest::Approx(padded.mean - t * estimate_of(padded).standard_error).epsilon(1e-12));
  CHECK(within.high == doctest::Approx(padded.mean + t * estimate_of(padded).standard_error).epsilon(1e-12));
}

TEST_CASE("an interval within a range stays there and has a width, whatever the values") {
  for (const double value : {-0.2, 0.0, 1e-9, 0.5, 1.0, 1.02})
    for (const double error : {0.0, 1e-16, 0.1, 3.0})
      for (const infalign::index_t n : {2, 3, 25, 5000, 1'000'000})
        for (const double level : {0.5, 0.95, 0.999999}) {
          const confidence_interval interval = estimate{value, error, n, 0, 1}.interval(level);
          CHECK(interval.low >= 0);
          CHECK(interval.high <= 1);
          CHECK(interval.high > interval.low);
        }
  // What 20 wins in 20 prompts say.
  const confidence_interval all_won = estimate{1, 0, 20, 0, 1}.interval();
  CHECK(all_won.high == 1);
  CHECK(all_won.low == doctest::Approx(0.803).epsilon(0.01));
}

TEST_CASE("an interval of a value beyond a range with one end begins at that end") {
  const confidence_interval of_kl = estimate{-1, 0.1, 25, 0, inf}.interval();
  CHECK(of_kl.low == 0);
  CHECK(of_kl.high == doctest::Approx(0.2063898562).epsilon(1e-9));  // t of 24 degrees of freedom: 2.063898562, by scipy.stats
  const confidence_interval within = estimate{0.05, 0.1, 25, 0, inf}.interval();
  CHECK(within.low == 0);
  CHECK(within.high == doctest::Approx(0.2563898562).epsilon(1e-9));
}

TEST_CASE("one value leaves the whole range") {
  const estimate win_rate{0.7, inf, 1, 0, 1}, unbounded{0.7, inf, 1};
  CHECK(win_rate.interval().low == 0);
  CHECK(win_rate.interval().high == 1);
  CHECK(unbounded.interval().low == -inf);
  CHECK(unbounded.interval().high == inf);
}

TEST_CASE("a level outside (0, 1) is an error") {
  const estimate e{0.5, 0.01, 400};
  CHECK(infalign::test::message_of<infalign::domain_error>([&] { (void)e.interval(1.5); }) ==
        "estimate::interval: level is 1.5, must be in (0, 1)");
  CHECK_THROWS_AS((void)e.interval(0), infalign::domain_error);
  CHECK_THROWS_AS((void)e.interval(1), infalign::domain_error);
}
