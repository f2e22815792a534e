// SPDX-License-Identifier: Apache-2.0
/// What must hold for every policy loss: its values by an independent statement, its derivatives by differences, and finite numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "objective/loss_table.hpp"
#include "objective/loss_values.hpp"
#include "support/samples.hpp"

using infalign::domain_error;
using infalign::loss_value;
namespace test = infalign::test;

namespace {

double sum(const std::vector<loss_value>& of_tokens) {
  double total = 0;
  for (const loss_value& v : of_tokens) total += v.value;
  return total;
}

/// The slopes of the sum over a response on both sides of `log_prob[t]`. If a weight is not differentiated, `old_log_prob[t]` moves
/// along, so that no ratio changes.
std::pair<double, double> slopes(const test::loss_entry& loss, const test::response& y, std::size_t t) {
  const double h = 1e-6;
  const auto moved_by = [&](double step) {
    test::response moved = y;
    moved.log_prob[t] += step;
    if (loss.detached) moved.old_log_prob[t] += step;
    return sum(loss.values(moved));
  };
  const double here = sum(loss.values(y));
  return std::minmax({(moved_by(h) - here) / h, (here - moved_by(-h)) / h});
}

constexpr double infinite = std::numeric_limits<double>::infinity();

loss_value one_token(const test::loss_entry& loss, double log_prob, double old_log_prob, double advantage) {
  return loss.values({{log_prob}, {old_log_prob}, {}, advantage})[0];
}

/// What a number that is cut at `largest_loss` tends to.
double uncut(double x) {
  return std::abs(x) == infalign::largest_loss ? std::copysign(infinite, x) : x;
}

bool equal(double x, double expected) {
  return x == expected || std::abs(x - expected) <= 1e-14 * std::abs(expected);
}

/// Losses at A = 1.5 and A = -0.5, where the old log-probability is -inf and log π is -0.5, and the other way round.
struct infinite_ratio {
  const char* name;
  double no_old[2];
  double no_policy[2];
};

const double mask = 0;
const double beyond = 1 - std::exp(-20.0);  // of a log-ratio that is clamped to -20
const std::vector<infinite_ratio> infinite_ratios{
    {"reinforce", {0.75, -0.25}, {infinite, -infinite}},
    {"clipped_surrogate", {-1.92, infinite}, {0, 0.4}},
    {"clipped_surrogate, verl", {-1.8, 1.5}, {-1.5 * std::exp(-20.0), 0.4}},
    {"clipped_surrogate, TRL's delta", {-1.8, 0.75}, {0, 0.4}},
    {"clipped_surrogate, a small delta", {-1.65, 0.75}, {0, 0.4}},
    {"gspo", {-1.8, infinite}, {0, 0.4985}},
    {"gspo, verl", {-1.8, 0.5 * std::exp(10.0)}, {0, 0.4985}},
    {"response_surrogate", {-1.95, infinite}, {0, 0.4}},
    {"cispo, verl", {0.9, -0.3}, {infinite, -infinite}},
    {"cispo, TRL", {3.75, -1.25}, {0, 0}},
    {"sapo", {-6, 2 / 1.05}, {-6 / (1 + std::exp(1.0)), 2 / 1.05 / (1 + std::exp(1.05))}},
    {"sapo, verl", {-6 / 0.7, 1}, {-6 / 0.7 / (1 + std::exp(0.7 * beyond)), 1 / (1 + std::exp(2 * beyond))}},
    {"gmpo", {-1.5 * std::exp(0.3), infinite}, {0, 0.5 * std::exp(-0.4)}},
    {"vespo", {0, 0}, {infinite, -infinite}},
    {"reinforce, truncated weights", {1.5, -0.5}, {infinite, -infinite}},
    {"cispo, masked weights of responses", {mask, mask}, {mask, mask}},
    {"vespo, truncated mean weights", {0, 0}, {mask, mask}}};

}  // namespace

TEST_CASE("a ratio of infinity or 0: the table of losses.hpp, which has the limits") {
  const auto losses = test::every_loss();
  REQUIRE(losses.size() == infinite_ratios.size());
  for (std::size_t k = 0; k < losses.size(); ++k) {
    const infinite_ratio& expected = infinite_ratios[k];
    REQUIRE(losses[k].name == expected.name);
    CAPTURE(expected.name);
    for (const int sign : {0, 1}) {
      const double advantage = sign == 0 ? 1.5 : -0.5;
      CAPTURE(advantage);
      const loss_value no_old = one_token(losses[k], -0.5, -infinite, advantage);
      const loss_value no_policy = one_token(losses[k], -infinite, -0.5, advantage);
      CHECK(equal(no_old.value, expected.no_old[sign]));
      CHECK(equal(no_policy.value, expected.no_policy[sign]));
      const loss_value nearly_no_old = one_token(losses[k], -0.5, -1e6, advantage);
      const loss_value nearly_no_policy = one_token(losses[k], -1e6, -0.5, advantage);
      CHECK(no_old.value == uncut(nearly_no_old.value));
      CHECK(no_old.by_log_prob == uncut(nearly_no_old.by_log_prob));
      CHECK(no_policy.by_log_prob == nearly_no_policy.by_log_prob);
      CHECK(std::isfinite(no_policy.by_log_prob));
      const bool reads_ratio = expected.name != std::string("reinforce");
      CHECK(std::isnan(one_token(losses[k], -infinite, -infinite, advantage).value) == reads_ratio);
    }
    for (const auto& [now, old] : {std::pair(-0.5, -infinite), {-infinite, -0.5}, {-infinite, -infinite}}) {
      const loss_value none = one_token(losses[k], now, old, 0);
      CHECK(none.value == 0);
      CHECK(none.by_log_prob == 0);
    }
  }
}

TEST_CASE("a response with an infinite ratio and one of 0 has no ratio") {
  for (const auto& loss : test::every_loss())
    if (loss.name == "gspo" || loss.name == "response_surrogate")
      for (const loss_value& v : loss.values({{-1, -infinite, -2}, {-infinite, -1, -2}, {}, 1})) CHECK(std::isnan(v.value));
}

TEST_CASE("every loss has the values and derivatives of its formula in Python") {
  const auto losses = test::every_loss();
  REQUIRE(losses.size() == test::known_losses.size());
  for (std::size_t k = 0; k < losses.size(); ++k) {
    const test::known_loss& expected = test::known_losses[k];
    REQUIRE(losses[k].name == expected.name);
    CAPTURE(expected.name);
    for (std::size_t r = 0; r < test::known_responses.size(); ++r) {
      const auto& [log_prob, old_log_prob, advantage] = test::known_responses[r];
      const auto values = losses[k].values({log_prob, old_log_prob, {}, advantage});
      for (std::size_t t = 0; t < values.size(); ++t) {
        CAPTURE(r);
        CAPTURE(t);
        CHECK(std::abs(values[t].value - expected.values[r][t]) <= 1e-13 * std::abs(expected.values[r][t]));
        CHECK(std::abs(values[t].by_log_prob - expected.slopes[r][t]) <= 1e-13 * std::abs(expected.slopes[r][t]));
        CHECK(values[t].by_kl == 0);
        CHECK(values[t].by_entropy == 0);
      }
    }
  }
}

TEST_CASE("every loss has the derivatives of its values, at its bounds one of the two") {
  for (const auto& loss : test::every_loss())
    for (const auto& y : test::trying_responses()) {
      const auto values = loss.values(y);
      for (std::size_t t = 0; t < values.size(); ++t) {
        if (std::abs(values[t].value) >= infalign::largest_loss / 2) continue;  // cut, or nearly
        const auto [low, high] = slopes(loss, y, t);
        const double slope = values[t].by_log_prob;
        // Of steps of 1e-6: curvature, half a step times the second derivative; rounding of log-ratios up to 64, 7e-15 / 1e-6.
        const double allowed = 1e-10 + 1e-6 * (std::abs(sum(values)) + std::abs(slope));
        CAPTURE(loss.name);
        CAPTURE(t);
        CAPTURE(y.advantage);
        CAPTURE(y.log_prob[t] - y.old_log_prob[t]);
        CHECK(slope >= low - allowed);
        CHECK(slope <= high + allowed);
      }
    }
}

TEST_CASE("a log-ratio of any size gives finite losses and derivatives") {
  int not_finite = 0, too_large = 0;
  for (const auto& loss : test::every_loss())
    for (const auto& y : test::extreme_responses())
      for (const auto& v : loss.values(y)) {
        not_finite += !std::isfinite(v.value) || !std::isfinite(v.by_log_prob);
        too_large += std::max(std::abs(v.value), std::abs(v.by_log_prob)) > infalign::largest_loss;
        if (y.advantage == 0) CHECK((v.value == 0 && v.by_log_prob == 0));
      }
  CHECK(not_finite == 0);
  CHECK(too_large == 0);
  const auto at = [](const auto& loss, double log_prob) { return loss(test::rows_of(loss, {{0}, {-log_prob}, {}, -0.5})[0]); };
  const infalign::clipped_surrogate clipped(0.2, 0.2);
  CHECK(at(clipped, 88).value == doctest::Approx(0.5 * std::exp(88.0)).epsilon(1e-14));
  CHECK(at(clipped, 89).value == infalign::largest_loss);  // e^89 / 2 is more than float holds
  CHECK(at(clipped, 1e4).value == infalign::largest_loss);
  CHECK(at(clipped, 1e4).by_log_prob == infalign::largest_loss);
  CHECK(at(clipped, -1e4).value == 0.4);
  CHECK(at(infalign::gspo(0.2, 0.2, {.log_ratio = {.high = 10}}), 1e4).value == doctest::Approx(0.5 * std::exp(10.0)));
  CHECK(at(infalign::gspo(0.2, 0.2, {.log_ratio = {.high = 10}}), 1e4).by_log_prob == 0);
  CHECK(at(infalign::sapo(), 1e4).value == doctest::Approx(0.5 * 4 / 1.05));  // naive: (1 - σ)·ρ = 0·inf
  CHECK(at(infalign::sapo(), 1e4).by_log_prob == 0);
  CHECK(at(infalign::sapo(), INFINITY).by_log_prob == 0);
}

TEST_CASE("on policy every loss but REINFORCE's own scale has the gradient of REINFORCE") {
  for (const auto& loss : test::every_loss())
    for (const double advantage : {0.75, -1.5}) {
      CAPTURE(loss.name);
      // Three tokens that all have the loss of the response, whose ratio is a product, not a mean.
      const double scale = loss.name == "response_surrogate" ? 3 : 1;
      for (const auto& v : loss.values({{-0.5, -2, -1}, {-0.5, -2, -1}, {}, advantage}))
        CHECK(v.by_log_prob == doctest::Approx(-scale * advantage).epsilon(1e-14));
    }
}

TEST_CASE("losses of a ratio need the log-probabilities of rollout") {
  using infalign::detail::needs_old_log_prob;
  static_assert(!needs_old_log_prob<infalign::reinforce>);
  static_assert(needs_old_log_prob<infalign::clipped_surrogate> && needs_old_log_prob<infalign::gspo> &&
                needs_old_log_prob<infalign::response_surrogate> && needs_old_log_prob<infalign::cispo> &&
                needs_old_log_prob<infalign::sapo> && needs_old_log_prob<infalign::gmpo> &&
                needs_old_log_prob<infalign::vespo>);
}

TEST_CASE("a parameter that is not allowed is named with its value") {
  const auto message = [](auto make) { return test::message_of<domain_error>([&] { (void)make(); }); };
  const auto with = [&](const infalign::surrogate_limits& limits) {
    return message([&] { return infalign::clipped_surrogate(0.2, 0.2, limits); });
  };
  CHECK(with({.dual_clip = 1}) == "clipped_surrogate: dual_clip is 1, must be greater than 1");
  CHECK(with({.dual_clip = NAN}) == "clipped_surrogate: dual_clip is nan, must be greater than 1");
  CHECK(with({.delta = 0}) == "clipped_surrogate: delta is 0, must be positive");
  CHECK(with({.log_ratio = {1, 20}}) == "clipped_surrogate: log_ratio.low is 1, must be at most 0");
  CHECK(with({.log_ratio = {-20, NAN}}) == "clipped_surrogate: log_ratio.high is nan, must be at least 0");
  CHECK(message([] { return infalign::gspo(-1, 0.2); }) == "gspo: epsilon_low is -1, must be in [0, 1]");
  CHECK(message([] {
          return infalign::gspo(0.1, 0.2, {.log_ratio = {-1, -2}});
        }) == "gspo: log_ratio.high is -2, must be at least 0");
  CHECK(message([] { return infalign::cispo(2, 1); }) == "cispo: smallest_ratio is 2, must be in [0, 1]");
  CHECK(message([] { return infalign::cispo(0, INFINITY); }) == "cispo: largest_ratio is inf, must be positive and finite");
  CHECK(message([] { return infalign::cispo(0, 5, {NAN, 20}); }) == "cispo: log_ratio.low is nan, must be at most 0");
  CHECK(message([] { return infalign::sapo(0); }) ==
        "sapo: positive_temperature is 0, must be positive, and it and 4/τ finite");
  CHECK(message([] { return infalign::sapo(1, -2); }) ==
        "sapo: negative_temperature is -2, must be positive, and it and 4/τ finite");
  CHECK(message([] { return infalign::gmpo(-0.5, 0.4); }) == "gmpo: epsilon_low is -0.5, must be finite and not negative");
  CHECK(message([] { return infalign::gmpo(0.5, INFINITY); }) == "gmpo: epsilon_high is inf, must be finite and not negative");
  CHECK(message([] { return infalign::vespo({-1, 3}); }) == "vespo: positive.k is -1, must be finite and not negative");
  CHECK(message([] { return infalign::vespo({2, 3}, {3, 0}); }) == "vespo: negative.lambda is 0, must be positive and finite");
}
