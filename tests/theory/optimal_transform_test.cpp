// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/optimal_transform.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/theory/tilted_density.hpp"
#include "infalign/theory/tradeoff.hpp"
#include "infalign/transform/any_transform.hpp"
#include "support/samples.hpp"

using namespace infalign;
namespace test = infalign::test;

namespace {

matchup pair(const char* procedure, const char* reference) {
  return {parse_procedure(procedure), parse_procedure(reference)};
}

/// A procedure of a user: nothing but its distortion.
struct cube_of_rank {
  [[nodiscard]] double distortion(double q) const { return q * q * q; }
};

/// `∫_v^1 k(F(u), u) du` by Simpson's rule on a grid that is dense at both ends, from the public CDF alone.
double first_variation(const optimal_transform& optimum, double v) {
  const int steps = 4000;
  const auto at = [&](int i) {
    const double t = static_cast<double>(i) / steps;
    const double bend = t * t * t * (10 - t * (15 - 6 * t));
    return v + (1 - v) * bend;
  };
  const auto integrand = [&](int i) {
    const double t = static_cast<double>(i) / steps;
    const double u = std::min(1.0, at(i));
    return (1 - v) * 30 * t * t * (1 - t) * (1 - t) * optimum.played().slope(optimum.cdf(u), u);
  };
  double sum = integrand(0) + integrand(steps);
  for (int i = 1; i < steps; ++i) sum += (i % 2 == 1 ? 4 : 2) * integrand(i);
  return sum / (3.0 * steps);
}

constexpr const char* procedures[] = {"standard",   "best_of:2",           "best_of:4",  "best_of:16",       "worst_of:2",
                                      "worst_of:8", "order_statistic:3:5", "top_of:2:8", "best_of_poisson:5"};

std::vector<const char*> some_procedures() {
  std::vector<const char*> some;
  for (std::size_t i = 0; i < std::size(procedures); i += test::stride(4)) some.push_back(procedures[i]);
  return some;
}

}  // namespace

TEST_CASE("the optimum by an independent solver") {
  struct row {
    const char* procedure;
    const char* reference;
    double beta, kl, win_rate, standard_win_rate, log_density_at_1, cdf, log_density;  // the last two at ½
  };
  // SciPy's solve_bvp (tolerance 1e-11, continued in β), integrated by Gauss's rule on its mesh: twelve digits.
  constexpr row rows[] = {
      {"best_of:4", "best_of:4", 0.05, 1.323352645061, 0.962088326707, 0.806160628119, 4.356286508507, 0.173543953537,
       -1.045150191560},
      {"best_of:4", "standard", 0.1, 0.398648747960, 0.951154367429, 0.701917663789, 2.352474050820, 0.260217838021,
       -0.584481823641},
      {"worst_of:4", "worst_of:4", 0.1, 0.683601057592, 0.975, 0.778931417417, 0.850922361338, 0.017484452121, -0.860563910907},
      {"order_statistic:3:5", "order_statistic:3:5", 0.2, 0.507931548689, 0.932338209155, 0.768643693290, 1.213079579227,
       0.126569618891, -1.017006099814},
      {"top_of:2:8", "top_of:2:8", 0.1, 0.761599095319, 0.947773344920, 0.720303115888, 3.688165938154, 0.265731978866,
       -0.631391669886},
      {"best_of_poisson:3", "best_of_poisson:3", 0.1, 0.957977960592, 0.906076988730, 0.789264166051, 3.604721769547,
       0.177167293519, -0.957464607077},
      {"worst_of:8", "standard", 0.3, 1.015249825111, 0.700000006475, 0.843961034225, 1.203972810800, 0.000498829535,
       -4.321575847467},
  };
  for (const row& r : rows) {
    CAPTURE(r.procedure);
    CAPTURE(r.reference);
    const optimal_transform optimum(pair(r.procedure, r.reference), kl_weight(r.beta));
    CHECK(std::abs(optimum.kl() - r.kl) <= 1e-10);
    CHECK(std::abs(optimum.win_rate() - r.win_rate) <= 1e-10);
    CHECK(std::abs(optimum.standard_win_rate() - r.standard_win_rate) <= 1e-10);
    CHECK(std::abs(optimum.log_density(1) - r.log_density_at_1) <= 1e-9);
    CHECK(std::abs(optimum.cdf(0.5) - r.cdf) <= 1e-10);
    CHECK(std::abs(optimum.log_density(0.5) - r.log_density) <= 1e-9);
  }
}

TEST_CASE("the first variation of the win rate is beta times the log-density, up to a constant") {
  for (const char* procedure : some_procedures())
    for (const double beta : {0.02, 0.1, 1.0, 100.0}) {
      CAPTURE(procedure);
      CAPTURE(beta);
      const optimal_transform optimum(matchup(parse_procedure(procedure)), kl_weight(beta));
      for (const double v : {0.0, 0.1, 0.35, 0.6, 0.85, 0.97, 0.999}) {
        CAPTURE(v);
        // δW/δf(v) = -∫_v^1 k; the constant is that at 1, where the integral is 0.
        const double variation = -first_variation(optimum, v);
        CHECK(std::abs(variation - beta * (optimum.log_density(v) - optimum.log_density(1))) <= 1e-9);
        CHECK(std::abs(variation - optimum(v)) <= 1e-9);
      }
    }
}

TEST_CASE("no family member beats the optimum at its KL") {
  for (const char* procedure : some_procedures())
    for (const double kl : {0.05, 0.3, 1.0, 2.0}) {
      CAPTURE(procedure);
      CAPTURE(kl);
      const matchup played(parse_procedure(procedure));
      const std::optional<optimal_transform> optimum = optimal_at_kl(played, kl_budget(kl));
      REQUIRE(optimum);
      for (const char* name : {"identity", "logarithm", "exponential:2", "exponential:5", "exponential:10", "exponential:-2",
                               "exponential:-5", "exponential:-10", "power:3", "normal_quantile"}) {
        CAPTURE(name);
        const auto point = frontier(played, parse_transform(name), {kl_budget(kl)}).front();
        REQUIRE(point);
        CHECK(point->inference_win_rate <= optimum->win_rate() + 1e-11);
      }
    }
}

TEST_CASE("against the quadrature of its own transform") {
  for (const char* procedure : procedures) {
    CAPTURE(procedure);
    const matchup played(parse_procedure(procedure));
    const optimal_transform optimum(played, kl_weight(0.05));
    const tilted_density again(optimum, kl_weight(0.05));
    CHECK(std::abs(again.kl() - optimum.kl()) <= 1e-10);
    CHECK(std::abs(again.win_rate(played) - optimum.win_rate()) <= 1e-10);
    CHECK(std::abs(again.log_normalizer() - optimum.log_normalizer()) <= 1e-10);
    CHECK(std::abs(again.cdf(0.7) - optimum.cdf(0.7)) <= 1e-10);
    CHECK(std::abs(optimum.cdf(optimum.quantile(0.3)) - 0.3) <= 1e-12);
  }
}

TEST_CASE("plain sampling on both sides: calibration alone is optimal") {
  for (const double beta : {1e-4, 0.02, 0.3, 1.0, 1e4}) {
    CAPTURE(beta);
    const optimal_transform optimum(matchup(standard{}), kl_weight(beta));
    const tilted_density expected(identity{}, kl_weight(beta));
    CHECK(optimum.proof() == optimality::proved_global);
    for (const double u : {0.0, 0.123, 0.5, 0.9, 1.0}) CHECK(std::abs(optimum(u) - (u - 1)) <= 1e-12);
    CHECK(std::abs(optimum.kl() - expected.kl()) <= 1e-12 * expected.kl());
    CHECK(std::abs(optimum.win_rate() - expected.standard_win_rate()) <= 1e-13);
  }
}

TEST_CASE("for large beta the base plays itself: Phi tends to a product of powers") {
  // F -> u: Φ(v) = -N²·∫_v^1 u^{2N-2} du.
  const optimal_transform optimum(matchup(best_of(4)), kl_weight(1e6));
  for (const double v : {0.0, 0.5, 0.9}) CHECK(std::abs(optimum(v) + 16.0 / 7 * (1 - std::pow(v, 7))) <= 1e-5);
  CHECK(std::abs(optimum.win_rate() - 0.5) <= 1e-5);
}

TEST_CASE("small beta") {
  for (const char* procedure : {"best_of:2", "best_of:8", "best_of:64", "worst_of:8", "order_statistic:3:5", "standard"})
    for (const double beta : {1e-3, 1e-4}) {
      CAPTURE(procedure);
      CAPTURE(beta);
      const matchup played(parse_procedure(procedure));
      const optimal_transform optimum(played, kl_weight(beta));
      CHECK(std::abs(optimum.cdf(1e-12)) <= 1e-8);
      const tilted_density again(optimum, kl_weight(beta));
      CHECK(std::abs(again.kl() - optimum.kl()) <= 1e-8);
      CHECK(std::abs(again.win_rate(played) - optimum.win_rate()) <= 1e-9);
    }
}

TEST_CASE("small beta, where digits cancel") {
  struct row {
    index_t n;
    double beta, kl, win_rate, standard_win_rate;
  };
  // The same equations solved in extended precision (64-bit mantissa).
  constexpr row rows[] = {
      {2, 1e-3, 5.597413505092373, 0.9989985063325039, 0.9960911778145495},
      {4, 1e-3, 4.542552607420678, 0.9990622977265419, 0.945732015416761},
      {64, 1e-3, 0.7603793597941535, 0.9998389669752508, 0.5729110821769053},
      {2, 1e-4, 7.902907905613672, 0.999899973519028, 0.9994938183570578},
      {4, 1e-4, 6.711726632039542, 0.9999028791005611, 0.9747648743784774},
      {64, 1e-4, 1.135939219587384, 0.9999808855208069, 0.5882387081446349},
  };
  for (const row& r : rows) {
    CAPTURE(r.n);
    CAPTURE(r.beta);
    const optimal_transform optimum(matchup(best_of(r.n)), kl_weight(r.beta));
    CHECK(std::abs(optimum.kl() - r.kl) <= 1e-11);
    CHECK(std::abs(optimum.win_rate() - r.win_rate) <= 1e-12);
    CHECK(std::abs(optimum.standard_win_rate() - r.standard_win_rate) <= 1e-11);
  }
}

TEST_CASE("what is proved") {
  CHECK(optimal_transform(matchup(best_of(4)), kl_weight(0.1)).proof() == optimality::proved_global);
  CHECK(optimal_transform(pair("best_of:4", "worst_of:3"), kl_weight(0.1)).proof() == optimality::proved_global);
  CHECK(optimal_transform(matchup(worst_of(4)), kl_weight(0.1)).proof() == optimality::best_stationary_point);
  // W - β·KL is concave for β >= N(N-1)/4.
  CHECK(optimal_transform(matchup(worst_of(4)), kl_weight(3.1)).proof() == optimality::proved_global);
  CHECK(optimal_transform(matchup(worst_of(4)), kl_weight(2.9)).proof() == optimality::best_stationary_point);
}

TEST_CASE("worst of many: layers far thinner than the first panel") {
  const optimal_transform optimum(matchup(worst_of(300)), kl_weight(1));
  // The same equation by an explicit Runge-Kutta method of order 8 (SciPy's DOP853), shot on f(1).
  CHECK(std::abs(optimum.kl() - 0.015874) <= 1e-6);
  CHECK(std::abs(optimum.win_rate() - 0.996667) <= 1e-6);
  CHECK(std::abs(optimum.win_rate() - optimum.kl() - 0.980793) <= 1e-6);
  for (const index_t n : {100, 300, 1000})
    for (const double beta : {0.01, 0.1, 1.0}) {
      CAPTURE(n);
      CAPTURE(beta);
      const matchup played(worst_of{n});
      const optimal_transform best(played, kl_weight(beta));
      for (const char* name :
           {"identity", "logarithm", "exponential:5", "exponential:10", "exponential:-5", "exponential:-10"}) {
        CAPTURE(name);
        const tradeoff_point point = tradeoff_at(played, parse_transform(name), kl_weight(beta));
        CHECK(point.inference_win_rate - beta * point.kl <= best.win_rate() - beta * best.kl() + 1e-10);
      }
    }
}

TEST_CASE("a narrow reference procedure, whose peak lies between the points of a grid") {
  const optimal_transform optimum(pair("best_of:2", "order_statistic:9883:10000"), kl_weight(1));
  CHECK(optimum.proof() == optimality::proved_global);
  // DOP853 again.
  CHECK(std::abs(optimum.kl() - 0.065691) <= 1e-6);
  CHECK(std::abs(optimum.win_rate() - 0.129873) <= 1e-6);
}

TEST_CASE("what is too stiff is said at once") {
  constexpr const char* stiff[] = {"best_of:1000000", "best_of:1000000000", "best_of_poisson:1e9", "worst_of:1000000000"};
  for (std::size_t i = 0; i < std::size(stiff); i += test::stride(2))
    for (const double beta : {1e-3, 1e-200}) {
      const char* const procedure = stiff[i];
      CAPTURE(procedure);
      CAPTURE(beta);
      CHECK_THROWS_AS(optimal_transform(matchup(parse_procedure(procedure)), kl_weight(beta)), optimum_not_found);
    }
  // Where the reference procedure has no density at 1, the largest density bounds f(1).
  for (const double beta : {1e-200, 1e-309})
    CHECK_THROWS_AS(optimal_transform(pair("standard", "order_statistic:23:56"), kl_weight(beta)), optimum_not_found);
}

TEST_CASE("of several stationary points the best is kept") {
  // Worst of 8 against best of 16 has three: sharp, flat, and one between them.
  const matchup played = pair("worst_of:8", "best_of:16");
  const optimal_transform optimum(played, kl_weight(0.1));
  CHECK(optimum.stationary_points() == 3);
  const double objective = optimum.win_rate() - 0.1 * optimum.kl();
  for (const char* name : {"identity", "logarithm", "exponential:5", "exponential:-5", "normal_quantile"})
    for (const double kl : {1e-3, 0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0}) {
      const auto point = frontier(played, parse_transform(name), {kl_budget(kl)}).front();
      CHECK(point->inference_win_rate - 0.1 * kl <= objective + 1e-12);
    }
}

TEST_CASE("the table for training") {
  constexpr int steps = test::draws(20'000);
  for (const char* procedure : some_procedures())
    for (const double tolerance : {1e-3, 1e-6, 1e-8}) {
      CAPTURE(procedure);
      CAPTURE(tolerance);
      const matchup played(parse_procedure(procedure));
      const optimal_transform optimum(played, kl_weight(0.03));
      const tabulated table = optimum.table(tolerance);
      double worst = 0;
      for (int i = 0; i <= steps; ++i) {
        const double u = static_cast<double>(i) / steps;
        worst = test::larger(worst, std::abs(table(u) - optimum(u)));
      }
      CHECK(worst <= tolerance * -optimum(0.0));
      CHECK(std::abs(table.derivative(0.8) - optimum.derivative(0.8)) <= 30 * std::sqrt(tolerance));
      if (tolerance > 1e-7) continue;
      CHECK(std::abs(tilted_density(table, kl_weight(0.03)).win_rate(played) - optimum.win_rate()) <= 1e-6);
    }
  CHECK(optimal_transform(matchup(best_of(4)), kl_weight(0.1)).table(1e-6).ref().size < 100);
}

TEST_CASE("its derivative is that of its values") {
  const optimal_transform optimum(matchup(best_of(4)), kl_weight(0.1));
  for (const double u : {0.2, 0.6, 0.93}) {
    const double h = 1e-4;
    const double numerical = (8 * (optimum(u + h) - optimum(u - h)) - (optimum(u + 2 * h) - optimum(u - 2 * h))) / (12 * h);
    CHECK(std::abs(optimum.derivative(u) - numerical) <= 1e-9);
  }
}

TEST_CASE("a procedure with its distortion alone has the optimum of the one that it is") {
  const optimal_transform mine(matchup(cube_of_rank{}), kl_weight(0.05));
  const optimal_transform known(matchup(best_of(3)), kl_weight(0.05));
  // That it is convex, it does not say.
  CHECK(known.proof() == optimality::proved_global);
  CHECK(mine.proof() == optimality::best_stationary_point);
  CHECK(std::abs(mine.kl() - known.kl()) <= 1e-10);
  CHECK(std::abs(mine.win_rate() - known.win_rate()) <= 1e-11);
  CHECK(std::abs(mine(0.4) - known(0.4)) <= 1e-10);
}

TEST_CASE("a mixture of scenarios") {
  const std::vector<matchup::outcome> scenarios = {{0.5, matchup(best_of(2))}, {0.5, matchup(best_of(8))}};
  const optimal_transform optimum(matchup::mixture(scenarios), kl_weight(0.1));
  CHECK(std::abs(optimum.win_rate() - 0.5 * (optimum.win_rate(scenarios[0].played) + optimum.win_rate(scenarios[1].played))) <=
        1e-13);
  // Nothing near it does better: the optima of other mixtures, at its β.
  const double objective = optimum.win_rate() - 0.1 * optimum.kl();
  for (const double p : {0.0, 0.3, 0.45, 0.55, 0.7, 1.0}) {
    std::vector<matchup::outcome> other;
    if (p > 0) other.push_back({p, scenarios[0].played});
    if (p < 1) other.push_back({1 - p, scenarios[1].played});
    const optimal_transform rival(matchup::mixture(other), kl_weight(0.1));
    CHECK(rival.win_rate(optimum.played()) - 0.1 * rival.kl() < objective);
  }
}

TEST_CASE("optimal_transform: bad input") {
  CHECK_THROWS_WITH_AS(optimal_transform(matchup(best_of(4)), kl_weight(0)), "optimal_transform: beta is 0, must be positive",
                       domain_error);
  const optimal_transform optimum(matchup(best_of(4)), kl_weight(1));
  CHECK_THROWS_AS((void)optimum(1.1), domain_error);
  CHECK_THROWS_AS((void)optimum.table(0), domain_error);
}
