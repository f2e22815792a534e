// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/matchup.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "infalign/procedure/any_procedure.hpp"
#include "support/samples.hpp"

using namespace infalign;

namespace {

template <class Procedure>
struct distortion_alone {
  Procedure procedure;
  [[nodiscard]] double distortion(double q) const { return procedure.distortion(q); }
};

/// The values of any function as a distortion.
struct distortion_by {
  double (*function)(double);
  [[nodiscard]] double distortion(double q) const { return function(q); }
};

template <class Procedure>
double largest_error(const Procedure& procedure) {
  const matchup numerical(distortion_alone<Procedure>{procedure}, standard{});
  double worst = 0, largest = 0;
  for (int i = 0; i <= 1000; ++i) {
    const double q = i / 1000.0;
    worst = infalign::test::larger(worst, std::abs(numerical.slope(q, 0.5) - procedure.density(q)));
    largest = std::max(largest, procedure.density(q));
  }
  return worst / largest;
}

}  // namespace

TEST_CASE("the density of a procedure that has none") {
  // Rounding of q and of G, 1e-16, times the 2·16²/width of differentiation on pieces of a width of about 1/8.
  CHECK(largest_error(best_of(4)) <= 1e-11);
  CHECK(largest_error(best_of(100)) <= 1e-11);
  CHECK(largest_error(worst_of(8)) <= 1e-11);
  CHECK(largest_error(order_statistic(3, 7)) <= 1e-11);
  CHECK(largest_error(best_of_poisson(5)) <= 1e-11);
}

TEST_CASE("a density is taken from values with rounding errors in few steps") {
  // 1 - (1-q)^N in this form has an error of 1e-16 where it is 1e-10: halving does not make it smaller.
  static long calls = 0;
  const matchup numerical(distortion_by{[](double q) { return ++calls, 1 - std::pow(1 - q, 1000); }}, standard{});
  CHECK(calls <= 2000);
  for (const double q : {0.0, 1e-6, 1e-3, 0.01, 0.5, 1.0})
    CHECK(std::abs(numerical.slope(q, 0.5) - worst_of(1000).density(q)) <= 1e-8 * 1000);
}

TEST_CASE("distortions that have no density are named") {
  const auto of = [](double (*function)(double)) { return matchup(distortion_by{function}); };
  CHECK_THROWS_WITH_AS(of([](double q) { return q < 0.5 ? q : std::numeric_limits<double>::quiet_NaN(); }),
                       "matchup: the distortion of user-defined is nan at 0.5, must be finite", domain_error);
  CHECK_THROWS_WITH_AS(
      of([](double q) { return q + 1e-12 * std::sin(1e13 * q); }),
      "matchup: the distortion of user-defined takes more than 20000 pieces to be differentiated; give it a density()",
      domain_error);
}

TEST_CASE("the largest numbers of samples") {
  const auto of = [](const char* name) { return matchup(parse_procedure(name)); };
  for (const char* name : {"best_of:1073741824", "worst_of:1073741824", "order_statistic:2:1073741824", "best_of_poisson:1e9",
                           "best_of_random:1=0.5,1073741824=0.5"})
    CHECK_NOTHROW(of(name));
  CHECK_THROWS_WITH_AS(of("best_of:1000000000000000"),
                       "matchup: best_of:1000000000000000 draws 1000000000000000 samples, the most are 1073741824",
                       domain_error);
  CHECK_THROWS_AS(of("worst_of:1073741825"), domain_error);
  CHECK_THROWS_AS(of("order_statistic:2:1099511627776"), domain_error);
  CHECK_THROWS_AS(of("top_of:2:1099511627776"), domain_error);
  CHECK_THROWS_AS(of("best_of_random:1=0.5,1073741825=0.5"), domain_error);
  CHECK_THROWS_AS(matchup(standard{}, best_of(index_t{1} << 31)), domain_error);
  struct steep {
    [[nodiscard]] double distortion(double q) const { return q; }
    [[nodiscard]] double density(double q) const { return q * 1e100; }
  };
  CHECK_THROWS_WITH_AS(matchup(steep{}), "matchup: the density of user-defined at 1 is 1e+100, the largest is 1073741824",
                       domain_error);
  // Infinite at an end, as that of √q, is a matter of shape and not of size.
  CHECK_NOTHROW(matchup(distortion_by{[](double q) { return std::sqrt(q); }}));
}

TEST_CASE("the slope of a matchup and of a mixture") {
  const matchup pair(best_of(3), worst_of(2));
  CHECK(pair.slope(0.5, 0.25) == doctest::Approx(3 * 0.25 * 2 * 0.75).epsilon(1e-14));
  CHECK(pair.name() == "best_of:3 vs worst_of:2");
  CHECK(matchup(parse_procedure("best_of:3"), parse_procedure("worst_of:2")).name() == pair.name());
  const matchup mixed = matchup::mixture({{0.25, pair}, {0.75, matchup(standard{})}});
  CHECK(mixed.slope(0.5, 0.25) == doctest::Approx(0.25 * pair.slope(0.5, 0.25) + 0.75).epsilon(1e-14));
  CHECK(mixed.pairs().size() == 2);
  // Mixtures of mixtures: the probabilities multiply.
  const matchup twice = matchup::mixture({{0.5, mixed}, {0.5, matchup(best_of(2))}});
  CHECK(twice.slope(0.5, 0.25) == doctest::Approx(0.5 * mixed.slope(0.5, 0.25) + 0.5 * 2 * 0.5 * 2 * 0.25).epsilon(1e-14));
}

TEST_CASE("concavity, and how far from it") {
  CHECK(matchup(standard{}).concave());
  CHECK(matchup(best_of(7)).concave());
  CHECK(matchup(best_of_poisson(7), worst_of(3)).concave());
  CHECK(matchup(top_of(2, 8)).concave());
  CHECK_FALSE(matchup(worst_of(2)).concave());
  CHECK_FALSE(matchup(order_statistic(3, 5)).concave());
  // max -g' = N(N-1), at 0.
  CHECK(matchup(worst_of(5)).steepest_fall() == doctest::Approx(20).epsilon(1e-3));
  // Narrower than any grid; and by differences on a fine one.
  CHECK_FALSE(matchup(order_statistic(503000, 1000000)).concave());
  for (const order_statistic& procedure :
       {order_statistic(1, 2), order_statistic(1, 4), order_statistic(2, 3), order_statistic(2, 4), order_statistic(3, 5),
        order_statistic(2, 9), order_statistic(40, 50)}) {
    CAPTURE(procedure.name());
    double steepest = 0;
    constexpr int steps = 20'000;
    for (int i = 0; i < steps; ++i)
      steepest =
          std::max(steepest, (procedure.density(double(i) / steps) - procedure.density((i + 1.0) / steps)) * double(steps));
    CHECK(matchup(procedure).steepest_fall() == doctest::Approx(steepest).epsilon(1e-3));
  }
  CHECK(matchup(order_statistic(5, 5)).concave());
  // One that does not say it has no proof.
  CHECK_FALSE(matchup(distortion_alone<best_of>{best_of(3)}).concave());
  const matchup mixed = matchup::mixture({{0.5, matchup(worst_of(5))}, {0.5, matchup(best_of(5))}});
  CHECK(mixed.steepest_fall() == doctest::Approx(10).epsilon(1e-3));
}

TEST_CASE("matchup: bad input") {
  CHECK_THROWS_WITH_AS((void)matchup::mixture({}), "matchup::mixture: outcomes is empty", shape_error);
  const matchup one{standard{}};
  CHECK_THROWS_AS((void)matchup::mixture({{0.5, one}, {0.4, one}}), domain_error);
  CHECK_THROWS_AS((void)matchup::mixture({{1.5, one}, {-0.5, one}}), domain_error);
  const std::vector<matchup::outcome> many(128, {1.0 / 128, one});
  CHECK_THROWS_WITH_AS((void)matchup::mixture(many), "matchup::mixture: outcomes has 128 pairs, the most are 100", shape_error);
}
