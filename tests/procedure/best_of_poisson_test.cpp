// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/best_of_poisson.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "infalign/procedure/procedure.hpp"
#include "support/samples.hpp"

using infalign::best_of_poisson;
using infalign::domain_error;
using infalign::test::message_of;

TEST_CASE("best_of_poisson is the Poisson mixture of best-of-N procedures") {
  for (const double mean : {0.0, 0.5, 3.0, 20.0}) {
    const best_of_poisson procedure(mean);
    for (const double q : {0.0, 0.2, 0.5, 0.9, 1.0}) {
      double probability = std::exp(-mean), distortion = 0, density = 0;
      for (int extra = 0; extra < 200; ++extra) {
        distortion += probability * std::pow(q, extra + 1);
        density += probability * (extra + 1) * std::pow(q, extra);
        probability *= mean / (extra + 1);
      }
      CHECK(procedure.distortion(q) == doctest::Approx(distortion).epsilon(1e-13));
      CHECK(procedure.density(q) == doctest::Approx(density).epsilon(1e-13));
    }
  }
  CHECK(best_of_poisson(2.5).name() == "best_of_poisson:2.5");
  static_assert(infalign::inference_procedure<best_of_poisson>);
}

TEST_CASE("a mean that is no mean of a Poisson distribution is an error") {
  CHECK(message_of<domain_error>([] { (void)best_of_poisson(-1); }) ==
        "best_of_poisson: mean is -1, must be finite and not negative");
  CHECK(message_of<domain_error>([] { (void)best_of_poisson(5.6e108); }) ==
        "best_of_poisson: mean is 5.5999999999999996e+108, must be at most 1e9");
}
