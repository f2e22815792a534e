// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/tradeoff.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>
#include <string>

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/transform/any_transform.hpp"
#include "theory/frontier.hpp"
#include "theory/tradeoff.hpp"

using namespace infalign;

namespace {

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

TEST_CASE("tradeoff: bad input") {
  CHECK_THROWS_WITH_AS(kl_budget(0), "kl_budget: kl is 0, must be positive and finite", domain_error);
  CHECK_THROWS_AS(kl_budget(infinity<double>), domain_error);
  CHECK_THROWS_AS((void)tradeoff_at(matchup(standard{}), identity{}, kl_weight(0)), domain_error);
}
