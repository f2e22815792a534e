// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/hedge.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"

using infalign::best_of;
using infalign::best_of_poisson;
using infalign::hedged;

namespace {

/// `u¹²(1-u)`, scaled to a maximum of 1, which is at 12/13.
double toy(double u) {
  static const double scale = 13 * std::pow(13.0 / 12, 12);
  return scale * std::pow(u, 12) * (1 - u);
}

}  // namespace

// The toy of HedgeTune (Khalaf et al., arXiv 2506.19248). By hand: ∫ u¹²(1-u)·n·u^(n-1) du = n/((n+12)(n+13)), largest at √156.
TEST_CASE("HedgeTune's toy: the best n and μ, what they are worth, and at what KL") {
  const hedged best = infalign::hedge_best_of(toy);
  CHECK(std::abs(best.parameter - std::sqrt(156.0)) <= 2e-6);
  CHECK(std::abs(best.value - toy(12.0 / 13) * 13 * std::pow(13.0 / 12, 12) * best.parameter / (best.parameter + 12) /
                                  (best.parameter + 13)) <= 1e-12);
  CHECK(std::abs(infalign::served_value(toy, best_of(12)) - 0.6794) <= 1e-4);
  CHECK(std::abs(infalign::procedure_kl(best_of(12)) - 1.568) <= 5e-4);
  CHECK(infalign::served_value(toy, best_of(12)) > infalign::served_value(toy, best_of(13)) - 1e-12);
  const hedged poisson = infalign::hedge_best_of_poisson(toy);
  CHECK(std::abs(poisson.parameter - 12.40) <= 5e-3);
  CHECK(std::abs(poisson.value - 0.6669) <= 1e-4);
  CHECK(std::abs(poisson.kl - 1.602) <= 5e-4);
}

TEST_CASE("the KL of best-of-N is log N - (N - 1)/N, and a mean of zero is a plain sample") {
  for (const infalign::index_t n : {1, 2, 12, 1000, 1 << 30}) {
    const auto x = static_cast<double>(n);
    CHECK(std::abs(infalign::procedure_kl(best_of(n)) - (std::log(x) - (x - 1) / x)) <= 1e-12 + 0x1p-53 * x);
  }
  CHECK(std::abs(infalign::procedure_kl(best_of_poisson(0))) <= 1e-15);
  CHECK(std::abs(infalign::served_value([](double u) { return u; }, best_of(9)) - 0.9) <= 1e-13);
}

TEST_CASE("where more is always better the end of the range is best, and where more is worse, one sample") {
  const auto rising = [](double u) { return u; };
  CHECK(std::abs(infalign::hedge_best_of(rising, 100).parameter - 100) <= 1e-4);
  CHECK(std::abs(infalign::hedge_best_of_poisson(rising, 100).parameter - 100) <= 1e-4);
  const auto falling = [](double u) { return 1 - u; };
  CHECK(std::abs(infalign::hedge_best_of(falling).parameter - 1) <= 1e-6);
  CHECK(infalign::hedge_best_of_poisson(falling).parameter == 0);
  CHECK_THROWS_WITH_AS(static_cast<void>(infalign::hedge_best_of(rising, 1)),
                       "hedge_best_of: most is 1, must be more than 1 and at most 1e9", infalign::domain_error);
}
