// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/best_of_random.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "infalign/procedure/procedure.hpp"
#include "support/samples.hpp"

using infalign::best_of_random;
using infalign::domain_error;
using infalign::test::message_of;

TEST_CASE("best_of_random mixes best-of-N procedures") {
  const best_of_random procedure({{2, 0.25}, {5, 0.75}});
  for (const double q : {0.0, 0.2, 0.5, 0.9, 1.0}) {
    CHECK(procedure.distortion(q) == doctest::Approx(0.25 * std::pow(q, 2) + 0.75 * std::pow(q, 5)).epsilon(1e-14));
    CHECK(procedure.density(q) == doctest::Approx(0.5 * q + 3.75 * std::pow(q, 4)).epsilon(1e-14));
  }
  CHECK(procedure.from_count(3, 6) == doctest::Approx(0.25 * 3 / 15.0).epsilon(1e-14));  // 3 of 15 pairs, no quintuple
  CHECK(procedure.samples_needed() == 5);
  CHECK(procedure.name() == "best_of_random:2=0.25,5=0.75");
  static_assert(infalign::inference_procedure<best_of_random>);
}

TEST_CASE("what is no distribution over N is an error") {
  using list = std::vector<best_of_random::outcome>;
  const auto message = [](const list& outcomes) { return message_of<domain_error>([&] { (void)best_of_random(outcomes); }); };
  CHECK(message({{0, 1}}) == "best_of_random: distribution[0].n is 0, must be at least 1");
  CHECK(message({{1, 1}, {2, 0}}) == "best_of_random: distribution[1].probability is 0, must be positive");
  CHECK(message({{1, 0.5}, {2, 0.25}}) == "best_of_random: sum of probabilities is 0.75, must be 1");
  CHECK(message_of<infalign::shape_error>([] { (void)best_of_random({}); }) == "best_of_random: distribution is empty");
  const std::vector<best_of_random::outcome> many(257, {1, 1.0 / 257});
  CHECK(message_of<infalign::shape_error>([&] { (void)best_of_random(many); }) ==
        "best_of_random: distribution has 257 outcomes, the most are 256");
}
