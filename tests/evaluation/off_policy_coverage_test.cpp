// SPDX-License-Identifier: Apache-2.0
/// \file
/// How often the intervals of off-policy evaluation hold the truth, which is known where reward levels have known probabilities.
/// The table that the docstring quotes: `evaluation_tests --no-skip --test-case="off-policy coverage table"`.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdio>

#include "evaluation/off_policy_kinds.hpp"

namespace {

using infalign::test::off_policy::coverage_outcome;
using infalign::test::off_policy::kind;
using infalign::test::off_policy::kinds;
using infalign::test::off_policy::ranks_alone;
using infalign::test::off_policy::simulate;

constexpr double betas[] = {1, 0.1, 0.02};

}  // namespace

TEST_CASE("intervals of off-policy evaluation hold the truth in 90 % of data sets, or are marked") {
  // The error of a share of 0.9 is 0.04.
#if INFALIGN_TEST_GRID_MIXED
  constexpr int data_sets = 3;  // minutes without optimisation
#else
  constexpr int data_sets = 60;
#endif
  for (const kind& of : kinds()) {
    CAPTURE(of.name);
    for (const double beta : betas)
      for (const int samples : {8, 32}) {
        CAPTURE(beta);
        CAPTURE(samples);
        const coverage_outcome found =
            simulate(of, beta, samples, ranks_alone(of) ? 3 : 20, ranks_alone(of) ? 1 : data_sets, 3);
        for (const double held : found.held) CHECK(held >= 0.9 - 2 * 0.04);
      }
  }
  // What more prompts do not help against: the bias of levels.
  for (const std::size_t which : {std::size_t{1}, std::size_t{3}}) {
    const coverage_outcome found = simulate(kinds()[which], 0.1, 32, 200, data_sets / 3, 4);
    for (const double held : found.held) CHECK(held >= 0.85);
    CHECK(found.marked <= 0.1);
  }
}

TEST_CASE("off-policy coverage table" * doctest::skip()) {
  std::printf("%-22s %5s %4s %5s   %-23s %6s   %s\n", "rewards", "beta", "K", "P", "held or marked: KL, W, W4", "marked",
              "bias of KL, W, W4");
  for (const kind& of : kinds())
    for (const double beta : betas)
      for (const int samples : {4, 8, 32, 128})
        for (const int prompts : {2, 3, 5, 20, 200}) {
          const coverage_outcome found = simulate(of, beta, samples, prompts, ranks_alone(of) ? 1 : 4000, 1);
          std::printf("%-22s %5g %4d %5d   %.3f %.3f %.3f   %6.3f   %+.4f %+.4f %+.4f\n", of.name, beta, samples, prompts,
                      found.held[0], found.held[1], found.held[2], found.marked, found.bias[0], found.bias[1], found.bias[2]);
          std::fflush(stdout);
        }
}
