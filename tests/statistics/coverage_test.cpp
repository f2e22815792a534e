// SPDX-License-Identifier: Apache-2.0
/// \file
/// How often intervals hold the truth, and how often a test rejects what is true: simulated, for prompts of every kind.
/// The table that the docstrings quote: `statistics_tests --no-skip --test-case="coverage table"`.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "infalign/statistics/sign_flip.hpp"
#include "infalign/statistics/summary.hpp"
#include "support/prompt_kinds.hpp"

using infalign::index_t;

namespace {

using kind = infalign::test::prompt_kind;
using stream = infalign::test::random_stream;
using infalign::test::difference_kinds;
using infalign::test::win_rate_kinds;

/// Pairs of the same policy, whose differences a test should not find.
constexpr kind same[] = {
    {"ordinary", 0,
     [](stream& s) {
       const double q = s.uniform();
       return s.wins(q, 8) - s.wins(q, 8);
     }},
    {"one sample a prompt", 0, [](stream& s) { return s.wins(0.7, 1) - s.wins(0.7, 1); }},
    {"nearly always won", 0, [](stream& s) { return s.wins(0.97, 1) - s.wins(0.97, 1); }},
    {"heavy-tailed", 0,
     [](stream& s) {
       const double v = s.uniform() < 0.02 ? 1 : 0.01 * s.uniform();
       return s.uniform() < 0.5 ? v : -v;
     }},
};

constexpr int sizes[] = {2, 3, 5, 20, 200};
#if INFALIGN_TEST_GRID_MIXED
// Without optimisation, that the code runs; the level is held elsewhere.
int data_sets(int prompts) {
  return prompts < 100 ? 100 : 20;
}
constexpr double least_covered = 0.8;
constexpr int null_data_sets = 40;
#else
/// The error of a share of 0.95 is 0.0034, and 0.0068 for 200 prompts.
int data_sets(int prompts) {
  return prompts < 100 ? 4000 : 1000;
}
constexpr double least_covered = 0.935;
constexpr int null_data_sets = 1000;
#endif

struct outcome {
  double covered;  ///< share of the data sets
  double width;    ///< mean width over that of `value ± t·standard_error`, cut to the range
};

outcome simulate(const kind& of, int prompts, int data_sets, std::uint64_t seed) {
  stream random(seed);
  int covered = 0;
  double width = 0, plain = 0;
  const double t = infalign::student_t_quantile(0.975, prompts - 1);
  for (int r = 0; r < data_sets; ++r) {
    infalign::summary values;
    for (int p = 0; p < prompts; ++p) values.add(of.value(random));
    const infalign::estimate e = estimate_of(values, of.range);
    const auto interval = e.interval(0.95);
    covered += interval.low <= of.mean && of.mean <= interval.high ? 1 : 0;
    width += interval.high - interval.low;
    plain += 2 * t * e.standard_error;
  }
  return {static_cast<double>(covered) / data_sets, width / plain};
}

double rejected(const kind& of, int prompts, int data_sets, std::uint64_t seed) {
  stream random(seed);
  int found = 0;
  std::vector<double> values(static_cast<std::size_t>(prompts));
  for (int r = 0; r < data_sets; ++r) {
    for (double& v : values) v = of.value(random);
    found += infalign::sign_flip_p_value(values) <= 0.05 ? 1 : 0;
  }
  return static_cast<double>(found) / data_sets;
}

}  // namespace

TEST_CASE("95 % intervals of win rates and of their differences hold the truth in at least 94 % of data sets") {
  for (const kind& of : win_rate_kinds) {
    CAPTURE(of.name);
    for (const int prompts : sizes) CHECK(simulate(of, prompts, data_sets(prompts), 7).covered >= least_covered);
  }
  for (const kind& of : difference_kinds) {
    CAPTURE(of.name);
    for (const int prompts : sizes) CHECK(simulate(of, prompts, data_sets(prompts), 8).covered >= least_covered);
  }
}

TEST_CASE("at 200 prompts the interval of an ordinary win rate is at most 12 % wider than value ± t·standard_error") {
  for (const int which : {0, 1, 4}) CHECK(simulate(win_rate_kinds[which], 200, 400, 9).width <= 1.12);
}

TEST_CASE("the test of identical policies rejects no more than it promises") {
  for (const kind& of : same) {
    CAPTURE(of.name);
    for (const int prompts : {2, 3, 5, 8, 12, 20}) {
      const int data_sets = prompts < 20 ? null_data_sets : null_data_sets / 10;  // of which each takes a million sums
      CHECK(rejected(of, prompts, data_sets, 10) <= 0.05 + 3 * 0.22 / std::sqrt(data_sets));
    }
    if (null_data_sets >= 1000) CHECK(rejected(of, 40, 60, 11) <= 0.05 + 3 * 0.028);
  }
}

TEST_CASE("coverage table" * doctest::skip()) {
  const auto print = [](const char* title, const auto& kinds, int data_sets) {
    std::printf("\n%-22s", title);
    for (const int prompts : sizes) std::printf("      P = %-5d", prompts);
    std::printf("\n");
    for (const auto& of : kinds) {
      std::printf("%-22s", of.name);
      for (const int prompts : sizes) {
        const outcome found = simulate(of, prompts, data_sets, 1);
        std::printf("   %.3f (%5.2f)", found.covered, found.width);
      }
      std::printf("\n");
    }
  };
  print("win rate", win_rate_kinds, 20'000);
  print("difference", difference_kinds, 20'000);
  std::printf("\n%-22s", "rejected at 5 %");
  constexpr int tested[] = {2, 3, 5, 8, 12, 20, 50, 200};
  for (const int prompts : tested) std::printf("  P = %-4d", prompts);
  std::printf("\n");
  for (const auto& of : same) {
    std::printf("%-22s", of.name);
    for (const int prompts : tested) std::printf("  %.4f  ", rejected(of, prompts, prompts > 12 ? 4000 : 20'000, 2));
    std::printf("\n");
  }
}
