// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/losses.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "infalign/core/weights.hpp"
#include "support/samples.hpp"

using infalign::clipped_surrogate;
using infalign::domain_error;
namespace test = infalign::test;

namespace {

infalign::token_row row_at(double log_prob, double old_log_prob, double advantage) {
  infalign::token_row row{};
  row.log_prob = log_prob;
  row.old_log_prob = old_log_prob;
  row.advantage = advantage;
  return row;
}

}  // namespace

TEST_CASE("the clipped surrogate and its derivative, by definition and by finite differences") {
  for (const auto& [low, high] : {std::pair(0.2, 0.2), std::pair(0.1, 0.4), std::pair(0.0, 0.0), std::pair(1.0, 3.0)}) {
    const clipped_surrogate loss(low, high);
    for (const double advantage : {2.0, -0.7, 0.0})
      for (double log_prob = -4; log_prob < 0; log_prob += 0.037) {
        const auto value_at = [&](double x) { return loss(row_at(x, -1.5, advantage)); };
        const double ratio = std::exp(log_prob + 1.5);
        CHECK(value_at(log_prob).value ==
              doctest::Approx(-std::min(ratio * advantage, std::clamp(ratio, 1 - low, 1 + high) * advantage)).epsilon(1e-14));
        const double h = 1e-6;
        const double corner = std::min(std::abs(ratio - (1 - low)), std::abs(ratio - (1 + high)));
        if (corner < 10 * h) continue;
        const double slope = (value_at(log_prob + h).value - value_at(log_prob - h).value) / (2 * h);
        CHECK(std::abs(value_at(log_prob).by_log_prob - slope) <= 1e-8);
      }
  }
}

TEST_CASE("on policy the clipped surrogate has the gradient of REINFORCE") {
  const clipped_surrogate clipped(0.2, 0.2);
  for (const double advantage : {1.5, -1.5})
    for (const double log_prob : {-0.5, -2.0}) {
      const infalign::token_row row = row_at(log_prob, log_prob, advantage);
      CHECK(clipped(row).by_log_prob == infalign::reinforce{}(row).by_log_prob);
      CHECK(clipped(row).value == -advantage);
    }
}

TEST_CASE("bounds and weights outside their range are errors") {
  const auto clipped = [](double low, double high) {
    return test::message_of<domain_error>([&] { (void)clipped_surrogate(low, high); });
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
