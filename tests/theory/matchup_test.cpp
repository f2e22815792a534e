// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/matchup.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "infalign/procedure/any_procedure.hpp"

using namespace infalign;

namespace {

template <class Procedure>
struct distortion_alone {
  Procedure procedure;
  [[nodiscard]] double distortion(double q) const { return procedure.distortion(q); }
};

template <class Procedure>
double largest_error(const Procedure& procedure) {
  const matchup numerical(distortion_alone<Procedure>{procedure}, standard{});
  double worst = 0, largest = 0;
  for (int i = 0; i <= 1000; ++i) {
    const double q = i / 1000.0;
    worst = std::max(worst, std::abs(numerical.slope(q, 0.5) - procedure.density(q)));
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
  const matchup mixed = matchup::mixture({{0.5, matchup(worst_of(5))}, {0.5, matchup(best_of(5))}});
  CHECK(mixed.steepest_fall() == doctest::Approx(10).epsilon(1e-3));
}

TEST_CASE("matchup: bad input") {
  CHECK_THROWS_WITH_AS((void)matchup::mixture({}), "matchup::mixture: outcomes is empty", shape_error);
  const matchup one{standard{}};
  CHECK_THROWS_AS((void)matchup::mixture({{0.5, one}, {0.4, one}}), domain_error);
  CHECK_THROWS_AS((void)matchup::mixture({{1.5, one}, {-0.5, one}}), domain_error);
}
