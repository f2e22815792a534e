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
  // Best of 8 loses 0.0201 to exponential:10 at a KL of 0.25, of 0.3625 that can be gained over the base policy's ½ (the values
  // of frontier.hpp). One that may forgo so large a share stays with it.
  const std::vector<kl_budget> budgets = {kl_budget(0.25)};
  const double lost = 0.8625349763 - 0.8423959754, share = lost / (0.8625349763 - 0.5);
  const plan_table lenient = plan(matchup(best_of(8)), budgets, customary_transforms(), share + 1e-6);
  CHECK(lenient.recommended == "exponential:10");
  CHECK(std::abs(lenient.price - lost) <= 1e-9);
  CHECK(std::abs(lenient.sections.front().gain - 0.3625349763) <= 1e-9);
  CHECK(plan(matchup(best_of(8)), budgets, customary_transforms(), share - 1e-6).recommended == "optimal");
}

TEST_CASE("what is forgone is judged by what can be gained") {
  // Worst of 8 against best of 64 at a KL of 0.5: nothing wins more than 1e-4, and the identity a third of the best.
  const matchup played(parse_procedure("worst_of:8"), parse_procedure("best_of:64"));
  const plan_table table = plan(played, {kl_budget(0.5)});
  const double best = table.sections.front().rows.front().reached->inference_win_rate;
  CHECK(best < 1e-4);
  CHECK(row_named(table.sections.front(), "identity").reached->inference_win_rate < 0.5 * best);
  CHECK(table.recommended == "optimal");
  // The base policy wins 1 - ∫ (1 - (1-u)^8)·64·u^63 du = 64·B(64, 9).
  const double base = std::exp(std::log(64) + std::lgamma(64) + std::lgamma(9) - std::lgamma(73));
  CHECK(std::abs(table.sections.front().gain - (best - base)) <= 1e-12);
}

TEST_CASE("of prices that print alike, the first transform's is taken") {
  // Where everything wins nearly always, the order in which transforms are given decides.
  const matchup played(parse_procedure("worst_of:8"));
  const std::vector<any_transform> customary = customary_transforms();
  CHECK(plan(played, {kl_budget(3)}).recommended == "identity");
  CHECK(plan(played, {kl_budget(3)}, {customary.rbegin(), customary.rend()}).recommended == "exponential:-10");
  // The power 1 is the identity.
  const std::vector<any_transform> twins = {parse_transform("power:1"), identity{}};
  CHECK(plan(matchup(standard{}), {kl_budget(1)}, twins).recommended == "power:1");
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
    // The log-density of a policy is Φ/β but for a constant, so a Φ with a range of 1 has the β by which it spans that.
    if (row.transform == "logarithm") {
      CHECK(std::isnan(row.scaled_beta));
      continue;
    }
    const infalign::optimal_transform optimum(played, kl_weight(0.1));
    const double span = row.transform == "optimal" ? optimum.log_density(1) - optimum.log_density(0)
                                                   : infalign::value_range(infalign::parse_transform(row.transform)) / 0.1;
    CHECK(row.scaled_beta == doctest::Approx(1 / span).epsilon(1e-12));
  }
  CHECK(std::abs(row_named(section, "identity").reached->kl - 1.303084513865) <= 1e-11);
}

TEST_CASE("where there is no optimum, prices are bounds and what is recommended is the best") {
  // The KL of the optimum jumps over 1 as beta changes: optimal_at_kl has none.
  const matchup played(parse_procedure("worst_of:8"), parse_procedure("best_of:16"));
  const kl_budget budget(1);
  REQUIRE_FALSE(optimal_at_kl(played, budget));
  const plan_table table = plan(played, {budget, kl_budget(5)});
  CHECK(table.proof == optimality::within_bound);
  CHECK(table.price_is_bound);
  const plan_section& jump = table.sections.front();
  CHECK(jump.bound == optimal_within(played, budget).bound);
  CHECK_FALSE(jump.bound_proved);
  CHECK(jump.rows.front().transform == "optimal");
  for (const plan_row& row : jump.rows) {
    CHECK(row.price_is_bound);
    CHECK(row.price == jump.bound - row.reached->inference_win_rate);
    CHECK(row.reached->inference_win_rate <= jump.rows.front().reached->inference_win_rate);
  }
  CHECK(table.sections.back().proof == optimality::best_stationary_point);
  CHECK(table.sections.back().rows.front().price == 0);
  CHECK(table.recommended == "optimal");
  CHECK(table.price == jump.rows.front().price);
}

TEST_CASE("where nothing is the best everywhere, nothing is recommended") {
  // Too many samples for any optimum: 1 is the bound.
  const matchup played(parse_procedure("best_of:1000000000"));
  const std::vector<any_transform> transforms = {clamped<logarithm>(logarithm{}, 0.1, 0.9), exponential(5)};
  const plan_table alone = plan(played, {kl_budget(1)}, transforms);
  CHECK(alone.sections.front().rows.back().transform == "optimal");
  CHECK_FALSE(alone.sections.front().rows.back().reached);
  CHECK(alone.sections.front().bound == 1);
  CHECK(alone.sections.front().bound_proved);
  CHECK(alone.recommended == alone.sections.front().rows.front().transform);
  CHECK(alone.price == 1 - alone.sections.front().rows.front().reached->inference_win_rate);
  // The clamped logarithm has no KL above log 10.
  const plan_table none = plan(played, {kl_budget(1), kl_budget(5)}, {transforms.front()});
  CHECK(none.recommended.empty());
  CHECK(std::isnan(none.price));
}

TEST_CASE("a plan at a beta without an optimum keeps the families") {
  for (const char* procedure : {"best_of:1000000000", "best_of_poisson:1e9"}) {
    CAPTURE(procedure);
    const plan_table table = plan(matchup(parse_procedure(procedure)), kl_weight(0.1));
    const std::vector<plan_row>& rows = table.sections.front().rows;
    CHECK(table.proof == optimality::within_bound);
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
