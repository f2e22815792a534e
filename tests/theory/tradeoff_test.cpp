// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/tradeoff.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/theory/detail/shooting.hpp"
#include "infalign/transform/any_transform.hpp"
#include "support/samples.hpp"
#include "theory/frontier.hpp"
#include "theory/tradeoff.hpp"

using namespace infalign;

namespace {

/// Rank m of N, which counts how often its density was asked for.
struct counted_rank : order_statistic {
  using order_statistic::order_statistic;
  static inline long evaluations = 0;
  [[nodiscard]] double density(double q) const {
    ++evaluations;
    return order_statistic::density(q);
  }
};

/// Both ways: win rates and KL at the β, and β at the KL.
void check_row(const std::string& procedure, const std::string& transform, const tradeoff_point& expected) {
  CAPTURE(procedure);
  CAPTURE(transform);
  CAPTURE(expected.kl);
  const matchup played(parse_procedure(procedure));
  const kl_weight beta(expected.beta);
  const bool optimal = transform == "optimal";
  const tradeoff_point at =
      optimal ? detail::point_of(optimal_transform(played, beta)) : tradeoff_at(played, parse_transform(transform), beta);
  CHECK(std::abs(at.kl - expected.kl) <= 1e-9);
  CHECK(std::abs(at.inference_win_rate - expected.inference_win_rate) <= 1e-9);
  CHECK(std::abs(at.standard_win_rate - expected.standard_win_rate) <= 1e-9);
  const std::vector<kl_budget> budget = {kl_budget(expected.kl)};
  const std::optional<tradeoff_point> by_kl =
      optimal ? optimal_frontier(played, budget).front() : frontier(played, parse_transform(transform), budget).front();
  REQUIRE(by_kl);
  CHECK(std::abs(by_kl->beta - expected.beta) <= 1e-9 * expected.beta);
  CHECK(std::abs(by_kl->kl - expected.kl) <= 1e-12 * expected.kl);
  CHECK(std::abs(by_kl->inference_win_rate - expected.inference_win_rate) <= 1e-9);
  CHECK(std::abs(by_kl->standard_win_rate - expected.standard_win_rate) <= 1e-9);
}

/// Climbs the win rate at a fixed KL, over densities that are constant on cells of u: the policy is replaced by the tilt of its
/// own first variation `-∫_v^1 k(F, u) du` until it wins no more. For a W that is convex in the policy, no step goes down. KL is
/// exact, and so is W up to Gauss's rule in each cell: nothing that it returns can exceed the best policy.
double ascent(const matchup& played, double kl, const any_transform& start) {
  constexpr std::size_t cells = 2000;
  constexpr double h = 1.0 / cells;
  const matchup::pair& pair = played.pairs().front();
  std::vector<double> tilt(cells), density(cells), slope(cells);
  for (std::size_t i = 0; i < cells; ++i) tilt[i] = start((static_cast<double>(i) + 0.5) * h);
  const auto kl_at = [&](double sharpness) {
    const double top = *std::max_element(tilt.begin(), tilt.end());
    double mass = 0, mean = 0;
    for (std::size_t i = 0; i < cells; ++i) {
      const double exponent = sharpness * (tilt[i] - top);
      density[i] = std::exp(exponent);
      mass += h * density[i];
      mean += h * density[i] * exponent;
    }
    for (double& d : density) d /= mass;
    return mean / mass - std::log(mass);
  };
  double win_rate = 0;
  for (int round = 0; round < 200; ++round) {
    double low = 1e-6, high = 1e9;
    for (int i = 0; i < 50; ++i) {
      const double middle = std::sqrt(low * high);
      (kl_at(middle) < kl ? low : high) = middle;
    }
    kl_at(low);
    double below = 0, lost = 0;
    for (std::size_t i = 0; i < cells; ++i) {
      const auto low_end = static_cast<double>(i);
      for (const auto& [at, weight] :
           {std::pair{0.5 - std::sqrt(0.15), 5.0 / 18}, std::pair{0.5, 8.0 / 18}, std::pair{0.5 + std::sqrt(0.15), 5.0 / 18}})
        lost += h * weight * pair.policy.distortion(below + at * h * density[i]) * pair.base.density((low_end + at) * h);
      slope[i] = h * played.slope(below + 0.5 * h * density[i], (low_end + 0.5) * h);
      below = std::min(1.0, below + h * density[i]);
    }
    if (std::abs(1 - lost - win_rate) < 1e-9) break;
    win_rate = 1 - lost;
    tilt[cells - 1] = 0;
    for (std::size_t i = cells - 1; i > 0; --i) tilt[i - 1] = tilt[i] - 0.5 * (slope[i] + slope[i - 1]);
  }
  return win_rate;
}

}  // namespace

TEST_CASE("independent values of the tradeoff, to their last digit") {
  for (const test::tradeoff_row& row : test::tradeoff) {
    const std::string name = row.procedure;
    const std::string transform = row.exponent == 0 ? "identity" : exponential(row.exponent).name();
    check_row(name == "standard" ? name : name + ":" + std::to_string(row.n), transform,
              {row.beta, row.kl, row.inference_win_rate, row.standard_win_rate});
  }
  for (const test::frontier_row& row : test::frontier_rows)
    check_row(row.procedure, row.transform, {row.beta, row.kl, row.inference_win_rate, row.standard_win_rate});
}

TEST_CASE("beta at a KL, over all that can be asked") {
  for (const double kl : {1e-8, 1e-4, 0.1, 1.0, 5.0, 12.0}) {
    CAPTURE(kl);
    for (const char* name : {"identity", "logarithm", "exponential:10", "exponential:-10", "power:3", "normal_quantile"}) {
      CAPTURE(name);
      const any_transform transform = parse_transform(name);
      const std::optional<double> beta = beta_at_kl(transform, kl_budget(kl));
      REQUIRE(beta);
      CHECK(std::abs(detail::tilt_family(transform).kl(*beta) - kl) <= 1e-12 * kl);
    }
  }
  // The normal quantile in closed form.
  CHECK(*beta_at_kl(normal_quantile{}, kl_budget(2)) == doctest::Approx(0.5).epsilon(1e-14));
  CHECK(*beta_at_kl(scaled<normal_quantile>(normal_quantile{}, 3), kl_budget(2)) == doctest::Approx(1.5).epsilon(1e-14));
}

TEST_CASE("a flat top bounds the KL") {
  const clamped<logarithm> transform(logarithm{}, 0.01, 0.99);
  CHECK(detail::tilt_family(transform).largest_kl() == doctest::Approx(std::log(100)).epsilon(1e-10));
  CHECK(beta_at_kl(transform, kl_budget(4.5)).has_value());
  CHECK_FALSE(beta_at_kl(transform, kl_budget(4.61)).has_value());
  CHECK_FALSE(frontier(matchup(standard{}), transform, {kl_budget(5)}).front().has_value());
  CHECK_FALSE(beta_at_kl(tabulated({0, 1}, {3, 3}), kl_budget(0.1)).has_value());
}

TEST_CASE("the optimum at a KL, and where it is out of reach") {
  const matchup played(best_of(4));
  for (const double kl : {1e-6, 0.01, 0.5, 3.0, 8.0}) {
    CAPTURE(kl);
    const std::optional<optimal_transform> optimum = optimal_at_kl(played, kl_budget(kl));
    REQUIRE(optimum);
    CHECK(std::abs(optimum->kl() - kl) <= 1e-12 * kl);
  }
  // Worst of 64 gains next to nothing from a KL of 5: its β is far below 1e-9.
  CHECK_FALSE(optimal_at_kl(matchup(worst_of(64)), kl_budget(5)).has_value());
}

TEST_CASE("a KL within a jump of the optimum's is out of reach, not another KL") {
  // Worst of 8 against best of 16: from almost the base straight to a KL of 4.
  const matchup played(worst_of(8), best_of(16));
  CHECK_FALSE(optimal_at_kl(played, kl_budget(1)).has_value());
  CHECK(optimal_at_kl(played, kl_budget(5)).has_value());
}

TEST_CASE("the best policy within a budget: the optimum where there is one") {
  for (const char* procedure : {"best_of:4", "worst_of:4"}) {
    const matchup played(parse_procedure(procedure));
    const budget_optimum best = optimal_within(played, kl_budget(1));
    REQUIRE(best.found);
    CHECK(best.found->win_rate() == optimal_at_kl(played, kl_budget(1))->win_rate());
    CHECK(best.bound == best.found->win_rate());
    CHECK(best.bound_proved == played.concave());
  }
}

TEST_CASE("within a jump: the best policy of the KL by ascent, and the bound by the optima on both sides") {
  struct gap {
    const char* policy;
    const char* base;
    double kl;
  };
  // The last one lies next to the point where two stationary points meet.
  std::vector<gap> gaps{{"worst_of:8", "best_of:8", 1},
                        {"worst_of:4", "best_of:4", 0.2},
                        {"worst_of:2", "best_of:64", 2},
                        {"worst_of:8", "best_of:2", 0.2},
                        {"worst_of:64", "order_statistic:2:5", 0.2}};
#if INFALIGN_TEST_GRID_MIXED
  gaps.resize(1);  // minutes without optimisation
#endif
  for (const gap& g : gaps) {
    CAPTURE(g.policy);
    CAPTURE(g.base);
    const matchup played(parse_procedure(g.policy), parse_procedure(g.base));
    REQUIRE_FALSE(optimal_at_kl(played, kl_budget(g.kl)));
    const budget_optimum best = optimal_within(played, kl_budget(g.kl));
    REQUIRE(best.found);
    CHECK(best.found->proof() == optimality::within_bound);
    CHECK_FALSE(best.bound_proved);
    CHECK(std::abs(best.found->kl() - g.kl) <= 1e-9 * g.kl);
    // Training with its transform at its β gives that policy.
    const tradeoff_point trained = tradeoff_at(played, *best.found, kl_weight(best.found->beta()));
    CHECK(std::abs(trained.kl - g.kl) <= 1e-8);
    CHECK(std::abs(trained.inference_win_rate - best.found->win_rate()) <= 1e-8);
    double climbed = 0;
    for (const char* start : {"exponential:10", "exponential:-10"})
      climbed = std::max(climbed, ascent(played, g.kl, parse_transform(start)));
    CHECK(climbed <= best.found->win_rate() + 1e-8);
    CHECK(climbed >= best.found->win_rate() - 1e-4);
    // The line between the optima on both sides of the jump.
    double low = 1e-3, high = 10;
    for (int i = 0; i < 60; ++i) {
      const double middle = std::sqrt(low * high);
      (optimal_transform(played, kl_weight(middle)).kl() > g.kl ? low : high) = middle;
    }
    const optimal_transform above(played, kl_weight(low)), below(played, kl_weight(high));
    const double share = (g.kl - below.kl()) / (above.kl() - below.kl());
    CHECK(std::abs(best.bound - (below.win_rate() + share * (above.win_rate() - below.win_rate()))) <= 1e-8);
    CHECK(best.found->win_rate() < best.bound);
  }
}

TEST_CASE("where beta becomes too small: an optimum of less KL, and a bound") {
  const matchup played(parse_procedure("best_of:64"), parse_procedure("standard"));
  const budget_optimum best = optimal_within(played, kl_budget(3.5));
  REQUIRE(best.found);
  CHECK(best.found->proof() == optimality::proved_global);
  CHECK(best.found->kl() < 3.5);
  CHECK(best.bound_proved);
  CHECK(best.bound >= best.found->win_rate());
  CHECK(best.bound <= best.found->win_rate() + 1e-8);
  CHECK(frontier(played, exponential(10), {kl_budget(3.5)}).front()->inference_win_rate <= best.bound);
  // Nothing can be solved: a win rate of 1 is a bound.
  const budget_optimum none = optimal_within(matchup(parse_procedure("best_of:1000000000")), kl_budget(1));
  CHECK_FALSE(none.found);
  CHECK(none.bound == 1);
  CHECK(none.bound_proved);
}

TEST_CASE("where optima on both sides of the budget win everything, nothing between them is looked for") {
  // The slope between them is 0: a search at that beta took all memory.
  const matchup played(best_of(42));
  const infalign::budget_optimum best = optimal_within(played, kl_budget(5.5602976328458249));
  CHECK(best.found->win_rate() >= 1 - 1e-9);
  CHECK(best.bound <= 1);
}

TEST_CASE("steep optima have a KL that is met") {
  // KL changes by more than β to the power -5 here.
  for (const auto& [policy, base, kl] : {std::tuple{"best_of_random:1=.5,8=.5", "best_of:64", 3.5},
                                         std::tuple{"order_statistic:2:5", "best_of_random:1=.5,8=.5", 0.5}}) {
    const std::optional<optimal_transform> optimum =
        optimal_at_kl(matchup(parse_procedure(policy), parse_procedure(base)), kl_budget(kl));
    REQUIRE(optimum);
    CHECK(std::abs(optimum->kl() - kl) <= 1e-12 * kl);
  }
}

TEST_CASE("a search ends when its effort is spent, shared by all budgets") {
  counted_rank::evaluations = 0;
  const matchup hard(counted_rank(27, 129), parse_procedure("best_of_random:445180976=0.25,4844=0.75"));
  detail::effort effort{20'000};
  const budget_optimum best = detail::optimal_within(hard, kl_budget(0.44), effort);
  CHECK((!best.found || best.found->kl() < 0.44));
  CHECK(best.bound <= 1);
  CHECK(effort.left < 0);
  // 17 points a panel, and on the way the win rates of what was solved.
  CHECK(counted_rank::evaluations <= 2 * 17 * 20'000);
  // What is left for another budget is nothing.
  CHECK_FALSE(detail::optimal_within(hard, kl_budget(1e-6), effort).found);
  CHECK(counted_rank::evaluations <= 2 * 17 * 20'000);
  detail::effort enough{detail::effort::at_kls(1)};
  CHECK(detail::optimal_within(matchup(best_of(4)), kl_budget(1), enough).found);
  CHECK(enough.left > detail::effort::at_kls(1) - 20'000);
}

TEST_CASE("tradeoff: bad input") {
  CHECK_THROWS_WITH_AS(kl_budget(0), "kl_budget: kl is 0, must be positive and finite", domain_error);
  CHECK_THROWS_AS(kl_budget(infinity<double>), domain_error);
  CHECK_THROWS_AS((void)tradeoff_at(matchup(standard{}), identity{}, kl_weight(0)), domain_error);
}

TEST_CASE("a frontier that is too stiff throughout ends, and so does a KL below rounding") {
  const matchup played(parse_procedure("worst_of:974867"));
  std::vector<kl_budget> budgets;
  for (int i = 0; i < 1000; i += infalign::test::stride<int>(100)) budgets.emplace_back(0.5 + 0.01 * i);
  const auto points = optimal_frontier(played, budgets);
  CHECK(points.size() == budgets.size());
  CHECK(std::none_of(points.begin(), points.end(), [](const auto& p) { return p.has_value(); }));
  // Where KL is small, it is proportional to 1/β².
  const matchup best(best_of(4));
  CHECK(optimal_at_kl(best, kl_budget(1e-20))->beta() ==
        doctest::Approx(optimal_at_kl(best, kl_budget(1e-12))->beta() * 1e4).epsilon(1e-5));
  CHECK_FALSE(optimal_at_kl(best, kl_budget(1e-27)));
  const budget_optimum none = optimal_within(best, kl_budget(1e-200));
  CHECK_FALSE(none.found);
  CHECK(none.bound == 1);
}
