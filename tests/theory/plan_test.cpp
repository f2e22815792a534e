// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/theory/robust_plan.hpp"

using namespace infalign;

namespace {

const plan_row& row_named(const plan_section& section, const std::string& name) {
  const auto found =
      std::find_if(section.rows.begin(), section.rows.end(), [&](const plan_row& r) { return r.transform == name; });
  REQUIRE(found != section.rows.end());
  return *found;
}

}  // namespace

TEST_CASE("a plan has every transform at every budget, ranked") {
  const plan_table table = plan(matchup(best_of(8)), {kl_budget(0.25), kl_budget(0.75), kl_budget(1.5)});
  REQUIRE(table.sections.size() == 3);
  CHECK(table.proof == optimality::proved_global);
  for (const plan_section& section : table.sections) {
    std::set<std::string> names;
    double before = 2;
    for (const plan_row& row : section.rows) {
      names.insert(row.transform);
      REQUIRE(row.reached);
      CHECK(std::abs(row.reached->kl - section.wanted) <= 1e-12 * section.wanted);
      CHECK(row.reached->inference_win_rate <= before);
      before = row.reached->inference_win_rate;
    }
    CHECK(names == std::set<std::string>{"identity", "logarithm", "exponential:5", "exponential:10", "exponential:-5",
                                         "exponential:-10", "optimal"});
    CHECK(section.rows.front().transform == "optimal");
    CHECK(section.rows.front().price == 0);
  }
  // The values of the table in tradeoff.hpp and frontier.hpp.
  CHECK(std::abs(row_named(table.sections[0], "exponential:10").reached->inference_win_rate - 0.8423959754) <= 1e-9);
  CHECK(std::abs(row_named(table.sections[2], "optimal").reached->beta - 0.0166141369526) <= 1e-10);
  CHECK(std::abs(row_named(table.sections[0], "exponential:10").price - (0.8625349763 - 0.8423959754)) <= 1e-9);
  CHECK(table.recommended == "optimal");
  CHECK(table.price == 0);
}

TEST_CASE("what is recommended: a customary transform where it forgoes little") {
  // Standard sampling: the identity is the optimum.
  const plan_table plain = plan(matchup(standard{}), {kl_budget(1)});
  CHECK(plain.recommended == "identity");
  CHECK(plain.price <= 1e-10);
  CHECK(plain.sections.front().rows.front().transform == "identity");
  // Best of 8 loses 0.02 to exponential:10 at least; one that may forgo so much stays with it.
  const plan_table lenient = plan(matchup(best_of(8)), {kl_budget(0.25), kl_budget(1.5)}, customary_transforms(), 0.05);
  CHECK(lenient.recommended == "exponential:10");
  CHECK(lenient.price > 0.02);
}

TEST_CASE("a budget that a transform cannot have is said to be out of reach") {
  const std::vector<any_transform> transforms = {clamped<logarithm>(logarithm{}, 0.01, 0.99), identity{}};
  const plan_table table = plan(matchup(best_of(2)), {kl_budget(5)}, transforms);
  const plan_row& row = table.sections.front().rows.back();
  CHECK(row.transform == "clamped:0.01:0.99:logarithm");
  CHECK_FALSE(row.reached);
  CHECK(row.largest_kl == doctest::Approx(std::log(100)).epsilon(1e-10));
  CHECK(std::isnan(row.price));
}

TEST_CASE("a plan at one beta ranks by what is maximised") {
  const matchup played(best_of(4));
  const plan_table table = plan(played, kl_weight(0.1));
  const plan_section& section = table.sections.front();
  CHECK(section.wanted == 0.1);
  CHECK(section.rows.front().transform == "optimal");
  double before = 0;
  for (const plan_row& row : section.rows) {
    CHECK(row.reached->beta == 0.1);
    CHECK(row.price >= before - 1e-10);
    before = row.price;
  }
  CHECK(std::abs(row_named(section, "identity").reached->kl - 1.303084513865) <= 1e-11);
}

TEST_CASE("where there is no optimum, prices are bounds and what is recommended can be had") {
  // The KL of the optimum jumps over 1 as beta changes: optimal_at_kl has none.
  const matchup played(parse_procedure("worst_of:8"), parse_procedure("best_of:16"));
  const kl_budget budget(1);
  REQUIRE_FALSE(optimal_at_kl(played, budget));
  const plan_table table = plan(played, {budget, kl_budget(1e-3)});
  CHECK(table.recommended != "optimal");
  const plan_row& best = table.sections.front().rows.front();
  CHECK(best.price_is_bound);
  CHECK(best.price == 1 - best.reached->inference_win_rate);
  double least = 1;
  for (const plan_row& row : table.sections.front().rows) {
    if (row.transform == "optimal") continue;
    least = std::min(least, std::max(row.price, row_named(table.sections.back(), row.transform).price));
  }
  CHECK(table.price == least);
  CHECK(row_named(table.sections.front(), table.recommended).reached);
  CHECK(row_named(table.sections.back(), table.recommended).reached);
  // Where nothing reaches the KL, nothing is recommended.
  const plan_table none = plan(played, {budget}, {clamped<logarithm>(logarithm{}, 0.4, 0.6)});
  CHECK(none.recommended.empty());
  CHECK(std::isnan(none.price));
}

TEST_CASE("a plan at a beta without an optimum keeps the families") {
  for (const char* procedure : {"best_of:1000000000", "best_of_poisson:1e9"}) {
    CAPTURE(procedure);
    const plan_table table = plan(matchup(parse_procedure(procedure)), kl_weight(0.1));
    const std::vector<plan_row>& rows = table.sections.front().rows;
    CHECK(table.proof == optimality::best_stationary_point);
    CHECK(rows.size() == 7);
    CHECK_FALSE(rows.back().reached);
    CHECK(rows.back().transform == "optimal");
    CHECK(rows.front().price_is_bound);
    CHECK(table.recommended == rows.front().transform);
  }
  const std::vector<any_transform> steep = {exponential(700), exponential(-700), normal_quantile{}};
  CHECK(plan(matchup(best_of(4)), kl_weight(1e-200), steep).sections.front().rows.size() == 4);
}

TEST_CASE("plan: bad input") {
  CHECK_THROWS_WITH_AS((void)plan(matchup(standard{}), std::vector<kl_budget>{}), "plan: budgets is empty", shape_error);
  CHECK_THROWS_AS((void)plan(matchup(standard{}), {kl_budget(1)}, customary_transforms(), -1), domain_error);
}

TEST_CASE("one transform for an unknown number of samples") {
  std::vector<matchup::outcome> scenarios;
  for (const index_t n : {1, 4, 16}) scenarios.push_back({1.0 / 3, matchup(best_of(n))});
  const robust_plan_table table = robust_plan(scenarios, kl_budget(1));
  CHECK(table.proof == optimality::proved_global);
  // Each scenario's own optimum, from the tradeoff.
  for (std::size_t i = 0; i < scenarios.size(); ++i)
    CHECK(std::abs(table.best_win_rate[i] -
                   optimal_frontier(scenarios[i].played, {kl_budget(1)}).front()->inference_win_rate) <= 1e-12);
  double expected_best = 0, worst_best = 1;
  for (const robust_row& row : table.rows) {
    CAPTURE(row.transform);
    double mean = 0, worst = 0;
    for (std::size_t i = 0; i < scenarios.size(); ++i) {
      mean += row.win_rate[i] / 3;
      worst = std::max(worst, table.best_win_rate[i] - row.win_rate[i]);
    }
    CHECK(std::abs(mean - row.expected_win_rate) <= 1e-12);
    CHECK(std::abs(worst - row.worst_regret) <= 1e-12);
    CHECK(row.worst_regret >= table.least_worst_regret - 1e-10);
    if (row.expected_win_rate > expected_best) expected_best = row.expected_win_rate;
    worst_best = std::min(worst_best, row.worst_regret);
  }
  const auto named = [&](const char* name) {
    return *std::find_if(table.rows.begin(), table.rows.end(), [&](const robust_row& r) { return r.transform == name; });
  };
  CHECK(named("optimal for the prior").expected_win_rate == expected_best);
  CHECK(table.rows.front().transform == "minimax");
  CHECK(named("minimax").worst_regret == worst_best);
  CHECK(named("minimax").worst_regret - table.least_worst_regret <= 1e-3);
  CHECK(std::abs(table.minimax.win_rate(scenarios[1].played) - named("minimax").win_rate[1]) <= 1e-13);
  // The bound is what its prior says it is: the mean regret of that prior's own optimum.
  std::vector<matchup::outcome> weighted;
  for (std::size_t i = 0; i < scenarios.size(); ++i)
    if (table.least_favourable_prior[i] > 0) weighted.push_back({table.least_favourable_prior[i], scenarios[i].played});
  const optimal_transform response = optimal_at_kl(matchup::mixture(weighted), kl_budget(1)).value();
  double bound = 0;
  for (std::size_t i = 0; i < scenarios.size(); ++i)
    bound += table.least_favourable_prior[i] * (table.best_win_rate[i] - response.win_rate(scenarios[i].played));
  CHECK(std::abs(bound - table.least_worst_regret) <= 1e-9);
  // The identity loses nothing to N = 1 and what the tradeoff says to N = 16.
  CHECK(named("identity").regret[0] <= 1e-11);
}

TEST_CASE("a single scenario has no regret") {
  const robust_plan_table table = robust_plan({{1, matchup(best_of(4))}}, kl_budget(0.5));
  CHECK(table.rows.front().worst_regret <= 1e-12);
}
