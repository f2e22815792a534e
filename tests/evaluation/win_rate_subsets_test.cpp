// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/procedure_win_rate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "evaluation/subset_pairs.hpp"
#include "evaluation/win_rates.hpp"
#include "support/configurations.hpp"

using infalign::index_t;
namespace test = infalign::test;
using test::both;
using test::dense_win_rate;
using test::groups;
using test::ragged_win_rate;
using test::tied_prompts;

TEST_CASE_TEMPLATE("the win rate equals enumeration over all pairs of subsets", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const int levels : {1, 2, 4, 100}) {
    // Every pair of sizes from 4 to 7, then dense shapes with m < m' and m > m'.
    std::vector<index_t> policy_sizes, base_sizes;
    for (index_t m = 4; m <= 7; ++m)
      for (index_t k = 4; k <= 7; ++k) policy_sizes.push_back(m), base_sizes.push_back(k);
    const groups<T> ragged_policy = tied_prompts<T>(policy_sizes, 100, levels);
    const groups<T> ragged_base = tied_prompts<T>(base_sizes, 200, levels);
    const groups<T> short_groups = tied_prompts<T>({5, 5, 5}, 300, levels);
    const groups<T> long_groups = tied_prompts<T>({9, 9, 9}, 400, levels);
    test::for_each_pair_of_procedures([&](const auto& procedure, const auto& base_procedure) {
      CAPTURE(procedure.name());
      CAPTURE(base_procedure.name());
      const auto check = [&](const groups<T>& policy, const groups<T>& base, const std::vector<double>& win_rate) {
        REQUIRE(win_rate.size() == policy.size());
        for (std::size_t p = 0; p < policy.size(); ++p)
          CHECK(std::abs(win_rate[p] - test::win_rate_by_subsets(policy[p], base[p], procedure, base_procedure)) <= 1e-12);
      };
      for (const auto algorithm : both) {
        check(ragged_policy, ragged_base, ragged_win_rate<C>(ragged_policy, ragged_base, procedure, base_procedure, algorithm));
        check(short_groups, long_groups, dense_win_rate<C>(short_groups, long_groups, procedure, base_procedure, algorithm));
        check(long_groups, short_groups, dense_win_rate<C>(long_groups, short_groups, procedure, base_procedure, algorithm));
      }
    });
  }
}
