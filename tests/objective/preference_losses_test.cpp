// SPDX-License-Identifier: Apache-2.0
/// What must hold for every preference loss: its values by PyTorch, its derivatives by differences, and finite numbers at any margin.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "infalign/infalign.hpp"
#include "infalign/theory.hpp"
#include "objective/preference_values.hpp"
#include "support/samples.hpp"

using infalign::domain_error;
using infalign::index_t;
using infalign::kl_weight;
using infalign::pair_value;
using infalign::response_row;
namespace test = infalign::test;
namespace known = infalign::test::preference;

namespace {

struct entry {
  std::string name;
  std::function<pair_value(const response_row&, const response_row&)> at;
};

template <class Loss>
entry entry_of(std::string name, const Loss& loss) {
  return {std::move(name), [loss](const response_row& chosen, const response_row& rejected) {
            return infalign::detail::loss_of_pair(loss, chosen, rejected);
          }};
}

/// By the names that make_preference_values.py gives them.
std::vector<entry> every_loss() {
  const kl_weight beta(known::beta);
  return {entry_of("dpo", infalign::dpo(beta)),
          entry_of("conservative_dpo", infalign::conservative_dpo(beta, known::flipped)),
          entry_of("robust_dpo", infalign::robust_dpo(beta, known::flipped)),
          entry_of("preference_hinge", infalign::preference_hinge(beta)),
          entry_of("ipo", infalign::ipo(beta)),
          entry_of("ipo of means", infalign::ipo(beta, infalign::log_ratio_of::token)),
          entry_of("sppo_hard", infalign::sppo_hard(beta)),
          entry_of("bonbon", infalign::bonbon(known::n, known::alpha))};
}

response_row row_of(double log_prob, double base, double length, double reward = 1) {
  return {log_prob, log_prob - base, length, reward, 0};
}

bool close(double a, double b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

}  // namespace

TEST_CASE("every preference loss has the values and derivatives of PyTorch") {
  const auto losses = every_loss();
  REQUIRE(losses.size() == known::known_losses.size());
  for (std::size_t k = 0; k < losses.size(); ++k) {
    CAPTURE(losses[k].name);
    REQUIRE(losses[k].name == known::known_losses[k].name);
    for (std::size_t p = 0; p < known::known_pairs.size(); ++p) {
      CAPTURE(p);
      const known::known_pair& pair = known::known_pairs[p];
      const pair_value v = losses[k].at(row_of(pair.chosen, pair.chosen_base, pair.chosen_length),
                                        row_of(pair.rejected, pair.rejected_base, pair.rejected_length));
      const auto& expected = known::known_losses[k].values[p];
      CHECK(close(v.value, expected[0], 1e-13));
      CHECK(close(v.by_chosen, expected[1], 1e-13));
      CHECK(close(v.by_rejected, expected[2], 1e-13));
    }
  }
}

TEST_CASE("every preference loss has the derivatives of its values") {
  // Steps of 1e-5: truncation of third derivatives, below β³, is 1e-11; rounding of values up to 1e3 is 1e-8.
  const double h = 1e-5;
  for (const entry& loss : every_loss())
    for (const double chosen : {-1.0, -7.5, -30.0})
      for (const double rejected : {-0.5, -3.25, -40.0}) {
        CAPTURE(loss.name);
        const auto value = [&](double c, double r) { return loss.at(row_of(c, -5, 4), row_of(r, -8, 2)).value; };
        const pair_value v = loss.at(row_of(chosen, -5, 4), row_of(rejected, -8, 2));
        CHECK(std::abs((value(chosen + h, rejected) - value(chosen - h, rejected)) / (2 * h) - v.by_chosen) <= 2e-7);
        CHECK(std::abs((value(chosen, rejected + h) - value(chosen, rejected - h)) / (2 * h) - v.by_rejected) <= 2e-7);
      }
}

TEST_CASE("finite log-probabilities of any size give finite losses and derivatives") {
  const double sizes[] = {0, -1e-300, -1, -1e3, -1e15, -1e300, -std::numeric_limits<double>::max()};
  const auto fits = [](double x) { return std::abs(x) <= infalign::largest_loss; };
  int wrong = 0;
  const kl_weight large(1e30), small(1e-30);
  std::vector<entry> losses = every_loss();
  losses.push_back(entry_of("dpo", infalign::dpo(large)));
  losses.push_back(entry_of("ipo", infalign::ipo(small)));
  losses.push_back(entry_of("robust_dpo", infalign::robust_dpo(large, 0.4999999)));
  for (const entry& loss : losses)
    for (const double a : sizes)
      for (const double b : sizes)
        for (const double c : sizes)
          for (const double d : sizes) {
            const pair_value v = loss.at(row_of(a, b, 3), row_of(c, d, 0));
            wrong += !fits(v.value) || !fits(v.by_chosen) || !fits(v.by_rejected);
          }
  for (const double a : sizes)
    for (const double b : sizes)
      for (const double reward : {0.0, 1e300, -1e300}) {
        const infalign::response_value q = infalign::qrpo(large, 3)(row_of(a, b, 2, reward));
        const infalign::response_value s = infalign::weighted_sft{}(row_of(a, b, 2, reward));
        wrong += !fits(q.value) || !fits(q.by_log_prob) || !fits(s.value) || !fits(s.by_log_prob);
      }
  CHECK(wrong == 0);
  // A margin beyond what exp holds: log σ underflows in the naive form, the loss is the margin itself.
  const infalign::margin_value v = infalign::dpo(kl_weight(1))(-1e4);
  CHECK(v.value == 1e4);
  CHECK(v.by_margin == -1);
}

TEST_CASE("BoNBoN's β of n, by its published value and by integration of its meaning") {
  CHECK(infalign::bonbon_beta(8).value == doctest::Approx(0.0275482).epsilon(2e-6));  // 6 digits
  CHECK(infalign::bonbon_beta(2).value == 0.5);
  // (n-1)·(E log U₍ₙ₎ - E log U₍₁₎) by the midpoint rule in u.
  for (const index_t n : {2, 3, 8, 40}) {
    const int steps = 400000;
    const double m = static_cast<double>(n) - 1;
    double difference = 0;
    for (int k = 0; k < steps; ++k) {
      const double u = (k + 0.5) / steps;
      difference += (m + 1) * (std::pow(u, m) - std::pow(1 - u, m)) * std::log(u) / steps;
    }
    CHECK(0.5 / infalign::bonbon_beta(n).value == doctest::Approx(m * difference).epsilon(2e-5));
  }
}

TEST_CASE("QRPO has the exact log Z of any transform, and its loss is 0 at the optimal policy") {
  const double published[][2] = {{1, 0.541}, {0.5, 1.161}, {0.3, 2.093}};
  for (const auto& [beta, log_z] : published) {
    const infalign::qrpo loss{infalign::tilted_density(infalign::identity(), kl_weight(beta))};
    CHECK(std::abs(loss.log_normalizer - log_z) <= 0.0005);
    CHECK(loss.log_normalizer == doctest::Approx(std::log(beta * std::expm1(1 / beta))).epsilon(1e-12));
    CHECK(std::log(beta) + 1 / beta - loss.log_normalizer == doctest::Approx(-std::log1p(-std::exp(-1 / beta))).epsilon(1e-11));
  }
  const auto check = [](const auto& transform, double beta) {
    const infalign::tilted_density optimum(transform, kl_weight(beta));
    const infalign::qrpo loss(optimum);
    for (const double u : {0.01, 0.3, 0.9, 0.999}) {
      const double log_ratio = optimum.log_density(u);
      const auto v = loss({log_ratio - 5, log_ratio, 3, transform(u), 0});
      CHECK(std::abs(v.value) <= 1e-20);
      CHECK(std::abs(v.by_log_prob) <= 1e-10);
      const auto moved = loss({log_ratio - 4, log_ratio + 1, 3, transform(u), 0});
      CHECK(moved.value == doctest::Approx(beta * beta));
      CHECK(moved.by_log_prob == doctest::Approx(2 * beta * beta));
    }
  };
  check(infalign::exponential(5), 20);
  check(infalign::exponential(-5), 0.05);
  check(infalign::logarithm(), 1.0 / 3);
  check(infalign::normal_quantile(), 0.8);
}

TEST_CASE("vBoN's reward leads to the best-of-n policy") {
  const infalign::variational_best_of vbon(4, 1'000'000);
  const infalign::tilted_density policy(vbon.transform(), vbon.beta);
  CHECK(policy.kl() == doctest::Approx(std::log(4.0) - 0.75).epsilon(1e-6));
  CHECK(policy.standard_win_rate() == doctest::Approx(0.8).epsilon(1e-6));
  for (const double u : {0.1, 0.5, 0.99}) CHECK(policy.density(u) == doctest::Approx(4 * u * u * u).epsilon(1e-6));
}

TEST_CASE("vBoN of calibrated rewards: (n-1)·log of the empirical CDF, finite below all references") {
  infalign::scalar on;
  const std::vector<double> references{1, 2, 2, 5}, rewards{0, 1, 2, 7};
  std::vector<double> out(4);
  const infalign::variational_best_of vbon(3, 4);
  infalign::calibrate_transform(on, infalign::rows<const double>(references.data(), 1, 4),
                                infalign::rows<const double>(rewards.data(), 1, 4), vbon.transform(),
                                infalign::rows<double>(out.data(), 1, 4), {.ties = vbon.ties});
  const double cdf[] = {0.125, 0.25, 0.75, 1};
  for (std::size_t i = 0; i < 4; ++i) CHECK(out[i] == doctest::Approx(2 * std::log(cdf[i])).epsilon(1e-14));
}

TEST_CASE("results of preference losses over their pairs are refused before anything is written") {
  infalign::scalar on;
  const std::vector<double> log_prob{-1, -2, -3, -4};
  union {
    infalign::response_pair pairs[2] = {{0, 1}, {2, 3}};
    double values[4];
  } shared;
  static_assert(sizeof shared.values == 2 * sizeof(infalign::response_pair));
  const infalign::span<const infalign::response_pair> pairs(shared.pairs, 2);
  std::vector<double> apart(4, -99);
  const auto message = [&](const infalign::preference_statistics<double>& statistics, infalign::span<double> slopes) {
    return test::message_of<infalign::shape_error>([&] {
      infalign::preference_losses(on, infalign::dpo(kl_weight(1)), infalign::response_log_probs(log_prob).with_base(log_prob),
                                  pairs, 1, statistics, slopes);
    });
  };
  CHECK(message({}, {shared.values, 4}) == "preference_losses: by_log_prob overlaps pairs");
  CHECK(message({.loss = {shared.values, 2}}, apart) == "preference_losses: statistics.loss overlaps pairs");
  CHECK(shared.pairs[1].rejected == 3);
  CHECK(apart == std::vector<double>(4, -99));
}

TEST_CASE("a parameter of a preference loss that is not allowed is named with its value") {
  const auto message = [](auto make) { return test::message_of<domain_error>([&] { (void)make(); }); };
  const kl_weight none(0), one(1);
  CHECK(message([&] { return infalign::dpo(none); }) == "dpo: beta is 0, must be positive");
  CHECK(message([&] { return infalign::ipo(none); }) == "ipo: beta is 0, must be positive");
  CHECK(message([&] { return infalign::sppo_hard(none); }) == "sppo_hard: beta is 0, must be positive");
  CHECK(message([&] { return infalign::preference_hinge(none); }) == "preference_hinge: beta is 0, must be positive");
  CHECK(message([&] { return infalign::conservative_dpo(one, 1.5); }) == "conservative_dpo: flipped is 1.5, must be in [0, 1]");
  CHECK(message([&] { return infalign::robust_dpo(one, 0.5); }) == "robust_dpo: flipped is 0.5, must be in [0, 0.5)");
  CHECK(message([&] { return infalign::bonbon(1); }) == "bonbon_beta: n is 1, must be at least 2");
  CHECK(message([&] { return infalign::bonbon(2, -1); }) == "bonbon: alpha is -1, must be in [0, 1]");
  CHECK(message([&] { return infalign::qrpo(one, NAN); }) == "qrpo: log_normalizer is nan, must be finite");
  CHECK(message([&] { return infalign::variational_best_of(1, 8); }) == "variational_best_of: n is 1, must be at least 2");
  CHECK(message([&] { return infalign::variational_best_of(2, 0); }) ==
        "variational_best_of: references is 0, must be at least 1");
}
