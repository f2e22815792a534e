// SPDX-License-Identifier: Apache-2.0
/// \file
/// What must hold in every section of a plan, over many matchups.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/theory/plan.hpp"
#include "support/samples.hpp"

using namespace infalign;
namespace test = infalign::test;

namespace {

const std::vector<std::string> tried_procedures = {"standard",
                                                   "best_of:2",
                                                   "best_of:4",
                                                   "best_of:8",
                                                   "best_of:64",
                                                   "worst_of:2",
                                                   "worst_of:4",
                                                   "worst_of:8",
                                                   "worst_of:64",
                                                   "order_statistic:2:5",
                                                   "top_of:3:8",
                                                   "best_of_poisson:3",
                                                   "best_of_random:1=.5,8=.5"};
constexpr double kls[] = {0.05, 0.2, 0.5, 1, 2, 3.5};

/// By how much the best row exceeds `name`.
double behind(const plan_section& section, const std::string& name) {
  double best = 0, own = 0;
  for (const plan_row& row : section.rows) {
    if (!row.reached) continue;
    best = std::max(best, row.reached->inference_win_rate);
    if (row.transform == name) own = row.reached->inference_win_rate;
  }
  return best - own;
}

struct section_check {
  const char* kind;  ///< of the row `optimal`
  double win_rate;
  double kl;
  double possible;  ///< how much more is possible at most
};

/// Every section has an optimum, or a policy within the budget and a bound; no row exceeds the bound.
section_check check_section(const plan_section& section) {
  CAPTURE(section.wanted);
  const auto optimal =
      std::find_if(section.rows.begin(), section.rows.end(), [](const plan_row& row) { return row.transform == "optimal"; });
  REQUIRE(optimal != section.rows.end());
  REQUIRE(optimal->reached);
  const double win_rate = optimal->reached->inference_win_rate, kl = optimal->reached->kl;
  const bool spent = std::abs(kl - section.wanted) <= 1e-9 * section.wanted;
  CHECK((spent || kl < section.wanted));
  for (const plan_row& row : section.rows)
    if (row.reached) CHECK(row.reached->inference_win_rate <= section.bound + 1e-10);
  if (section.proof != optimality::within_bound) {
    CHECK((spent || win_rate == 1));  // nothing exceeds 1, whatever it may spend
    CHECK(section.bound == win_rate);
    CHECK(behind(section, "optimal") <= 1e-10);
    return {section.proof == optimality::proved_global ? "proved" : "optimum", win_rate, kl, 0};
  }
  // Less KL than may be spent only where the rest gains nothing: next to nothing is possible, or nothing wins at all.
  const bool hopeless = behind(section, "none") <= 1e-12;
  CHECK((spent || hopeless || section.bound - win_rate <= 1e-8));
  CHECK(behind(section, "optimal") <= (spent ? 1e-10 : 1e-8));
  return {spent ? "constrained" : hopeless ? "hopeless" : "saturated", win_rate, kl, section.bound - win_rate};
}

/// No row exceeds what is recommended by more than what may be forgone.
void check_recommendation(const plan_table& table, double forgo) {
  REQUIRE_FALSE(table.recommended.empty());
  for (const plan_section& section : table.sections) {
    CAPTURE(section.wanted);
    CHECK(behind(section, table.recommended) <= std::max({forgo * section.gain, 1e-8 * behind(section, "none"), 1e-12}));
  }
}

plan_table plan_of(const std::string& policy, const std::string& base, const std::vector<kl_budget>& budgets, double forgo) {
  const matchup played(parse_procedure(policy), parse_procedure(base));
  return plan(played, budgets, customary_transforms(), forgo);
}

}  // namespace

TEST_CASE("every section has an optimum or a bound, and nothing exceeds what is recommended: some matchups") {
  struct example {
    const char* policy;
    const char* base;
    double kl;
    const char* kind;
  };
  constexpr example examples[] = {{"best_of:4", "best_of:4", 1, "proved"},
                                  {"worst_of:4", "worst_of:4", 1, "optimum"},
                                  {"worst_of:8", "best_of:8", 3.5, "optimum"},
                                  {"worst_of:8", "best_of:8", 0.05, "constrained"},
                                  {"order_statistic:2:5", "best_of:64", 3.5, "constrained"},
                                  {"best_of:64", "standard", 3.5, "saturated"},
                                  {"best_of:64", "best_of:4", 3.5, "saturated"},
                                  {"worst_of:64", "best_of:64", 0.2, "hopeless"}};
  for (std::size_t i = 0; i < std::size(examples); i += test::stride(3)) {
    const example& e = examples[i];
    CAPTURE(e.policy);
    CAPTURE(e.base);
    const plan_table table = plan_of(e.policy, e.base, {kl_budget(e.kl)}, 0);
    CHECK(std::string(check_section(table.sections.front()).kind) == e.kind);
    check_recommendation(table, 0);
  }
  if (test::stride(2) == 2) return;  // several budgets at once are in plan_test.cpp as well
  const plan_table several = plan_of("worst_of:8", "best_of:8", {kl_budget(0.05), kl_budget(1), kl_budget(3.5)}, 1e-3);
  CHECK(several.recommended == "optimal");
  check_recommendation(several, 1e-3);
}

TEST_CASE("every section has an optimum or a bound, and nothing exceeds what is recommended: all matchups" * doctest::skip()) {
  std::vector<kl_budget> budgets;
  for (const double kl : kls) budgets.emplace_back(kl);
  for (const std::string& policy : tried_procedures)
    for (const std::string& base : tried_procedures) {
      CAPTURE(policy);
      CAPTURE(base);
      const plan_table all = plan_of(policy, base, budgets, 1e-3);
      check_recommendation(all, 1e-3);
      for (const kl_budget& budget : budgets) {
        const auto start = std::chrono::steady_clock::now();
        const plan_table table = plan_of(policy, base, {budget}, 1e-3);
        const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start;
        const section_check found = check_section(table.sections.front());
        check_recommendation(table, 1e-3);
        std::printf(
            "%-24s %-24s KL %-4g %-11s wins %.10f with KL %.4f, possible +%.2g; alone %s (-%.2g), with others %s; %.0f ms\n",
            policy.c_str(), base.c_str(), budget.value, found.kind, found.win_rate, found.kl, found.possible,
            table.recommended.c_str(), behind(table.sections.front(), table.recommended), all.recommended.c_str(),
            spent.count());
      }
    }
}
