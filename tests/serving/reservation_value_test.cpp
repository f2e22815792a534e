// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <infalign/serving.hpp>
#include <vector>

#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

/// The most that can be had with `left` more draws when the best so far is `best`, by dynamic programming: reward less price × draws.
double best_value(const std::vector<double>& values, double price, double best, index_t left) {
  if (left == 0) return best;
  double drawn = -price;
  for (const double v : values)
    drawn += best_value(values, price, std::max(best, v), left - 1) / static_cast<double>(values.size());
  return std::max(best, drawn);
}
/// What drawing while the best is below r has.
double value_of_rule(const std::vector<double>& values, double price, double r, double best, index_t left) {
  if (left == 0 || best >= r) return best;
  double drawn = -price;
  for (const double v : values)
    drawn += value_of_rule(values, price, r, std::max(best, v), left - 1) / static_cast<double>(values.size());
  return drawn;
}

}  // namespace

TEST_CASE("reservation value: the expected gain there is the price") {
  const std::vector<double> references{0.5, -1, 2, 2, 0.25, 3.5, 2};
  for (const double price : {1e-6, 0.01, 0.2, 0.5, 1.0, 3.0, 50.0}) {
    const double r = reservation_value(references, price);
    CAPTURE(price);
    CHECK(expected_gain(references, r) == doctest::Approx(price).epsilon(1e-9));
  }
  CHECK(reservation_value(std::vector<double>{0, 1}, 0.1) == doctest::Approx(0.8).epsilon(1e-15));
  CHECK(reservation_value(std::vector<double>{7}, 0.25) == 6.75);
  CHECK(reservation_value(std::vector<float>{1, 2, 3}, 5) == doctest::Approx(-3).epsilon(1e-15));
  // A large common level loses no digits of the price.
  CHECK(reservation_value(std::vector<double>{0x1p40, 0x1p40 + 1}, 0.125) == 0x1p40 + 0.75);
  CHECK(expected_gain(std::vector<double>{0, 1, 4}, 1) == 1);
  CHECK(expected_gain(std::vector<double>{0, 1, 4}, 9) == 0);
}

TEST_CASE("drawing below the reservation value is optimal for any number of draws") {
  const std::vector<double> values{0, 0.3, 1, 1.2};
  for (const double price : {0.02, 0.1, 0.31, 0.8}) {
    const double r = reservation_value(values, price);
    for (const index_t left : {1, 2, 5})
      for (const double best : {0.0, 0.3, 1.0, 1.2}) {
        CAPTURE(price);
        CAPTURE(left);
        CHECK(value_of_rule(values, price, r, best, left) ==
              doctest::Approx(best_value(values, price, best, left)).epsilon(1e-12));
      }
  }
}

TEST_CASE("served with a price, best-of-N earns the reservation value") {
  const std::vector<double> values{0.1, 0.4, 0.9, 0.2, 0.7};
  const index_t prompts = test::draws(40'000);
  const double price = 0.05;
  std::vector<double> references;
  for (index_t p = 0; p < prompts; ++p)  // every other prompt's rewards are 10 higher
    for (const double v : values) references.push_back(v + (p % 2 == 0 ? 0 : 10));
  const auto enough = reservation_values(rows<const double>(references.data(), prompts, 5), price);
  CHECK(enough[1] == doctest::Approx(enough[0] + 10).epsilon(1e-14));
  const auto reward = [&](span<const sample_request> requests, span<const index_t> responses) {
    std::vector<double> scores;
    for (index_t i = 0; i < responses.size(); ++i)
      scores.push_back(references[static_cast<std::size_t>(requests[i].prompt * 5 + responses[i])]);
    return scores;
  };
  const auto result = serve(stopped_at(best_of(1'000'000), enough), test::finite_policy{{0.2, 0.2, 0.2, 0.2, 0.2}}, reward,
                            prompts, {.seed = 8});
  double earned = 0, squares = 0;
  for (std::size_t p = 0; p < result.prompts.size(); ++p) {
    const double net = result.prompts[p].score - price * static_cast<double>(result.prompts[p].cost.samples) - enough[p];
    earned += net, squares += net * net;
  }
  CHECK(std::abs(earned) <= 4 * std::sqrt(squares));
}

TEST_CASE("reservation quantile: that of many uniform references") {
  std::vector<double> u;
  for (int i = 0; i < 20'000; ++i) u.push_back((i + 0.5) / 20'000);
  for (const double price : {1e-3, 0.02, 0.3, 0.5, 0.55, 0.7})
    CHECK(reservation_quantile(price) == doctest::Approx(reservation_value(u, price)).epsilon(1e-6));
}
