// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/policy_loss.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "infalign/core/weights.hpp"
#include "support/samples.hpp"

using infalign::clipped_surrogate;
using infalign::domain_error;
using infalign::span;
namespace test = infalign::test;

TEST_CASE("the score weight of the clipped surrogate is minus the slope of its loss") {
  const std::vector<double> old{-1.5};
  for (const auto& [low, high] : {std::pair(0.2, 0.2), std::pair(0.1, 0.4), std::pair(0.0, 0.0), std::pair(1.0, 3.0)}) {
    const clipped_surrogate<double> loss(old, low, high);
    for (const double advantage : {2.0, -0.7, 0.0})
      for (double log_prob = -4; log_prob < 0; log_prob += 0.037) {
        const double ratio = std::exp(log_prob + 1.5);
        CHECK(loss.loss(log_prob, advantage, 0) ==
              doctest::Approx(-std::min(ratio * advantage, std::clamp(ratio, 1 - low, 1 + high) * advantage)).epsilon(1e-14));
        const double h = 1e-6;
        const double corner = std::min(std::abs(ratio - (1 - low)), std::abs(ratio - (1 + high)));
        if (corner < 10 * h) continue;
        const double slope = (loss.loss(log_prob + h, advantage, 0) - loss.loss(log_prob - h, advantage, 0)) / (2 * h);
        CHECK(std::abs(loss.score_weight(log_prob, advantage, 0) + slope) <= 1e-8);
      }
  }
}

TEST_CASE("on policy the clipped surrogate has the gradient of REINFORCE") {
  const std::vector<double> old{-0.5, -2.0};
  const clipped_surrogate<double> clipped(old, 0.2, 0.2);
  for (const double advantage : {1.5, -1.5})
    for (const infalign::index_t t : {0, 1}) {
      const double log_prob = old[static_cast<std::size_t>(t)];
      CHECK(clipped.score_weight(log_prob, advantage, t) == infalign::reinforce{}.score_weight(log_prob, advantage, t));
      CHECK(clipped.loss(log_prob, advantage, t) == -advantage);
    }
}

TEST_CASE("bounds and weights outside their range are errors") {
  const std::vector<float> old{-1};
  const auto clipped = [&](double low, double high) {
    return test::message_of<domain_error>([&] { (void)clipped_surrogate<float>(old, low, high); });
  };
  CHECK(clipped(-0.1, 0.2) == "clipped_surrogate: epsilon_low is -0.10000000000000001, must be in [0, 1]");
  CHECK(clipped(1.5, 0.2) == "clipped_surrogate: epsilon_low is 1.5, must be in [0, 1]");
  CHECK(clipped(0.5, -1) == "clipped_surrogate: epsilon_high is -1, must be finite and not negative");
  CHECK(clipped(0.5, INFINITY) == "clipped_surrogate: epsilon_high is inf, must be finite and not negative");
  CHECK(test::message_of<domain_error>([] { (void)infalign::kl_weight(-0.5); }) ==
        "kl_weight: beta is -0.5, must be finite and not negative");
  CHECK(test::message_of<domain_error>([] { (void)infalign::kl_weight(NAN); }) ==
        "kl_weight: beta is nan, must be finite and not negative");
  CHECK(test::message_of<domain_error>([] { (void)infalign::entropy_weight(-2); }) ==
        "entropy_weight: eta is -2, must be finite and not negative");
}
