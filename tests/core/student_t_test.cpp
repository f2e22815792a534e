// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/student_t.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/samples.hpp"

using infalign::student_t_cdf;
using infalign::student_t_quantile;

TEST_CASE("quantiles of Student's t: known to 17 digits") {
  // By mpmath 1.3, 40 digits.
  struct known {
    double probability, degrees, quantile;
  };
  for (const known& k :
       {known{0.975, 1, 12.706204736174705}, known{0.975, 2, 4.3026527297494639}, known{0.975, 4, 2.7764451051977944},
        known{0.95, 9, 1.8331129326562371}, known{0.995, 19, 2.8609346064649799}, known{0.975, 199, 1.9719565442493954},
        known{0.6, 7.5, 0.26250189880429465}, known{1e-20, 3, -4795275.720468973}, known{0.975, 1e5, 1.9599877075346453}})
    CHECK(student_t_quantile(k.probability, k.degrees) == doctest::Approx(k.quantile).epsilon(1e-11));
}

TEST_CASE("one and two degrees of freedom have closed forms") {
  constexpr double pi = 3.14159265358979323846;
  for (const double t : {-1e150, -1e5, -30.0, -1.0, -0.01, 0.0, 0.3, 2.0, 50.0}) {
    const double cauchy = t < -1 ? std::atan(-1 / t) / pi : 0.5 + std::atan(t) / pi;
    CHECK(student_t_cdf(t, 1) == doctest::Approx(cauchy).epsilon(1e-11));
    const double root = std::sqrt(2 + t * t);
    const double two = t < 0 ? 1 / (root * (root - t)) : 1 - 1 / (root * (root + t));
    CHECK(student_t_cdf(t, 2) == doctest::Approx(two).epsilon(1e-11));
  }
}

TEST_CASE("the quantile inverts the CDF, and approaches the normal one") {
  for (const double degrees : {0.5, 1.0, 3.0, 40.0, 1000.0, 9.9e5, 1.1e6, 1e15, infalign::infinity<double>})
    for (const double p : {1e-30, 1e-8, 0.025, 0.4999, 0.5, 0.75, 0.99999})
      CHECK(student_t_cdf(student_t_quantile(p, degrees), degrees) == doctest::Approx(p).epsilon(1e-9));
  CHECK(student_t_quantile(0.975, 1e12) == doctest::Approx(1.959963984540054).epsilon(1e-11));
  CHECK(student_t_quantile(0.25, 5) == -student_t_quantile(0.75, 5));
}

TEST_CASE("ends, NaN and arguments out of range") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  CHECK(student_t_quantile(0, 3) == -inf);
  CHECK(student_t_quantile(1, 3) == inf);
  CHECK(student_t_quantile(1e-300, 0.5) == -inf);
  CHECK(student_t_cdf(-inf, 3) == 0);
  CHECK(student_t_cdf(inf, 3) == 1);
  CHECK(std::isnan(student_t_cdf(std::nan(""), 3)));
  CHECK(infalign::test::message_of<infalign::domain_error>([] { (void)student_t_quantile(1.5, 3); }) ==
        "student_t_quantile: probability is 1.5, must be in [0, 1]");
  CHECK(infalign::test::message_of<infalign::domain_error>([] { (void)student_t_cdf(0, 0); }) ==
        "student_t_cdf: degrees_of_freedom is 0, must be positive");
  CHECK_THROWS_AS((void)student_t_quantile(0.5, std::nan("")), infalign::domain_error);
}
