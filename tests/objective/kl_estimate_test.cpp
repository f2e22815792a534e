// SPDX-License-Identifier: Apache-2.0
/// KL estimated from sampled tokens: values, derivatives, what is expected of the gradient, and what users reported of trainers.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "objective/loss_table.hpp"
#include "support/samples.hpp"

using infalign::kl_estimate;
using infalign::kl_estimator;
using infalign::kl_importance;
using infalign::kl_term;
using infalign::kl_weight;
using infalign::loss_value;
using infalign::token_row;
namespace test = infalign::test;

namespace {

constexpr kl_estimator every_estimator[] = {kl_estimator::k1, kl_estimator::absolute, kl_estimator::k2, kl_estimator::k3};
constexpr kl_importance every_importance[] = {kl_importance::none, kl_importance::ratio, kl_importance::detached_ratio};
constexpr kl_estimate k3_of_verl{kl_estimator::k3, 10, {-20, 20}};

struct nothing {
  INFALIGN_HD loss_value operator()(const token_row&) const { return {0}; }
};

/// The term alone, with β = 1.
loss_value term_at(const kl_estimate& estimate, kl_importance importance, double log_prob, double old, double base) {
  token_row row{};
  row.log_prob = log_prob, row.old_log_prob = old, row.base_log_prob = base;
  return infalign::with_kl(nothing{}, {.beta = kl_weight(1), .value = estimate, .importance = importance})(row);
}

loss_value at(kl_estimator estimator, double x) {
  return term_at({estimator}, kl_importance::none, x, 0, 0);
}

using five_numbers = std::array<long double, 5>;

five_numbers softmax(const five_numbers& logits) {
  five_numbers p{};
  long double sum = 0;
  for (const long double l : logits) sum += std::exp(l);
  for (std::size_t j = 0; j < p.size(); ++j) p[j] = std::exp(logits[j]) / sum;
  return p;
}

const five_numbers policy_logits{0.3L, -1.2L, 0.9L, 0.1L, -0.4L}, base_logits{-0.5L, 0.4L, 0.6L, -1.1L, 0.2L},
    sampler_logits{0.1L, -0.7L, 1.3L, -0.3L, -0.1L};

/// The gradient of a function of the policy's logits, by differences of fourth order: exact to 1e-14.
five_numbers gradient(const std::function<long double(const five_numbers&)>& objective) {
  const long double h = 1e-3L;
  five_numbers g{};
  for (std::size_t j = 0; j < g.size(); ++j) {
    const auto moved_by = [&](long double step) {
      five_numbers logits = policy_logits;
      logits[j] += step;
      return objective(softmax(logits));
    };
    const auto slope = [&](long double step) { return (moved_by(step) - moved_by(-step)) / (2 * step); };
    g[j] = (64 * slope(h / 2) - 20 * slope(h) + slope(2 * h)) / 45;
  }
  return g;
}

/// The expectation over tokens drawn from `sampler` of the gradient of the term, which is its derivative times ∇log π(a).
five_numbers expected_gradient(const kl_estimate& estimate, kl_importance importance, const five_numbers& sampler) {
  const five_numbers p = softmax(policy_logits), q = softmax(base_logits);
  five_numbers g{};
  for (std::size_t a = 0; a < p.size(); ++a) {
    const auto log_of = [&](const five_numbers& of) { return static_cast<double>(std::log(of[a])); };
    const auto slope =
        static_cast<long double>(term_at(estimate, importance, log_of(p), log_of(sampler), log_of(q)).by_log_prob);
    for (std::size_t j = 0; j < g.size(); ++j) g[j] += sampler[a] * slope * ((a == j ? 1 : 0) - p[j]);
  }
  return g;
}

double distance(const five_numbers& a, const five_numbers& b) {
  long double worst = 0;
  for (std::size_t j = 0; j < a.size(); ++j) worst = std::max(worst, std::abs(a[j] - b[j]));
  return static_cast<double>(worst);
}

/// `Σ weights·f(log p - log q)`.
long double sum_over(const five_numbers& weights, const five_numbers& p, const five_numbers& q,
                     const std::function<long double(long double)>& f) {
  long double sum = 0;
  for (std::size_t a = 0; a < p.size(); ++a) sum += weights[a] * f(std::log(p[a]) - std::log(q[a]));
  return sum;
}

long double by_definition(kl_estimator estimator, long double x) {
  switch (estimator) {
    case kl_estimator::k1: return x;
    case kl_estimator::absolute: return std::abs(x);
    case kl_estimator::k2: return x * x / 2;
    default: return std::exp(-x) + x - 1;
  }
}

long double kl(const five_numbers& p, const five_numbers& q) {
  return sum_over(p, p, q, [](long double x) { return x; });
}

}  // namespace

TEST_CASE("KL estimates by their formulas") {
  struct known {
    double x, k3, slope;
  };
  // Python: x = Decimal(x); float((-x).exp() + x - 1), float(1 - (-x).exp()), with 60 digits.
  const known values[] = {
      {1e-09, 4.999999998333334e-19, 9.999999995e-10},
      {-1e-09, 5.000000001666667e-19, -1.0000000005000001e-09},
      {0.001, 4.998333749916681e-07, 0.0009995001666250085},
      {-0.25, 0.034025416687741485, -0.2840254166877415},
      {0.25, 0.028800783071404868, 0.22119921692859512},
      {0.2500001, 0.028800805191330457, 0.22119929480866954},
      {-0.999, 0.7165649053185666, -1.7155649053185666},
      {-1.5, 1.9816890703380647, -3.481689070338065},
      {3.0, 2.049787068367864, 0.950212931632136},
      {-12.0, 162741.79141900392, -162753.79141900392},
      {40.0, 39.0, 1.0},
  };
  for (const known& expected : values) {
    const double x = expected.x;
    CAPTURE(x);
    CHECK(std::abs(at(kl_estimator::k3, x).value - expected.k3) <= 4e-15 * expected.k3);
    CHECK(std::abs(at(kl_estimator::k3, x).by_log_prob - expected.slope) <= 4e-16 * std::abs(expected.slope));
    CHECK(at(kl_estimator::k1, x).value == x);
    CHECK(at(kl_estimator::absolute, x).value == std::abs(x));
    CHECK(at(kl_estimator::k2, x).value == doctest::Approx(x * x / 2).epsilon(1e-15));
  }
  CHECK(at(kl_estimator::absolute, 0).by_log_prob == 0);
  CHECK(at(kl_estimator::k3, 0).value == 0);
}

TEST_CASE("what is expected of a KL term's gradient: the table of with_kl, every token enumerated") {
  const five_numbers q = softmax(base_logits), on = softmax(policy_logits), off = softmax(sampler_logits);
  const five_numbers none{};
  const five_numbers reverse = gradient([&](const five_numbers& p) { return kl(p, q); });
  const five_numbers forward = gradient([&](const five_numbers& p) { return kl(q, p); });
  const five_numbers distance_1 = gradient([&](const five_numbers& p) {
    long double sum = 0;
    for (std::size_t a = 0; a < p.size(); ++a) sum += std::abs(p[a] - q[a]);
    return sum;
  });
  const five_numbers on_policy[] = {none, distance_1, reverse, forward};
  const five_numbers with_ratio[] = {
      reverse, gradient([&](const five_numbers& p) { return sum_over(p, p, q, [](auto x) { return std::abs(x); }); }),
      gradient([&](const five_numbers& p) { return sum_over(p, p, q, [](auto x) { return x * x / 2; }); }), reverse};
  for (std::size_t k = 0; k < 4; ++k) {
    const kl_estimator estimator = every_estimator[k];
    CAPTURE(k);
    CHECK(distance(expected_gradient({estimator}, kl_importance::none, on), on_policy[k]) <= 1e-12);
    const five_numbers off_policy = gradient(
        [&](const five_numbers& p) { return sum_over(off, p, q, [&](long double x) { return by_definition(estimator, x); }); });
    CHECK(distance(expected_gradient({estimator}, kl_importance::none, off), off_policy) <= 1e-12);
    for (const five_numbers& sampler : {on, off}) {
      CHECK(distance(expected_gradient({estimator}, kl_importance::ratio, sampler), with_ratio[k]) <= 1e-12);
      CHECK(distance(expected_gradient({estimator}, kl_importance::detached_ratio, sampler), on_policy[k]) <= 1e-12);
    }
  }
  const five_numbers from_sampler = gradient([&](const five_numbers& p) { return -kl(off, p); });
  CHECK(distance(expected_gradient({kl_estimator::k1}, kl_importance::none, off), from_sampler) <= 1e-12);
  // The wrong entries are far from what is meant.
  CHECK(distance(forward, reverse) > 0.02);
  CHECK(distance(expected_gradient({kl_estimator::k3}, kl_importance::none, off), reverse) > 0.02);
}

TEST_CASE("the expected value of k1 and k3 is the KL, off policy with the ratio") {
  const five_numbers p = softmax(policy_logits), q = softmax(base_logits), off = softmax(sampler_logits);
  for (const kl_estimator estimator : {kl_estimator::k1, kl_estimator::k3})
    for (const kl_importance importance : every_importance) {
      const five_numbers& sampler = importance == kl_importance::none ? p : off;
      long double mean = 0;
      for (std::size_t a = 0; a < p.size(); ++a)
        mean += sampler[a] *
                static_cast<long double>(term_at({estimator}, importance, static_cast<double>(std::log(p[a])),
                                                 static_cast<double>(std::log(sampler[a])), static_cast<double>(std::log(q[a])))
                                             .value);
      CHECK(static_cast<double>(std::abs(mean - kl(p, q))) <= 1e-15);
    }
}

TEST_CASE("a KL term has the derivative of its estimate, of the ratio too if that is differentiated") {
  const double h = 1e-6;
  for (const kl_estimator estimator : every_estimator)
    for (const kl_estimate& estimate : {kl_estimate{estimator}, kl_estimate{estimator, 10, {-20, 20}}})
      for (const kl_importance importance : every_importance)
        for (const double x :
             {0.0, 1e-4, -0.2, 0.24999, 0.25, -0.25, -1.0, 0.7, 3.0, -2.3, -2.6, -8.0, 9.0, 11.0, 20.0, 25.0, -30.0})
          for (const double log_ratio : {0.0, 0.5, -3.0}) {
            const double log_prob = -2;
            const auto moved_by = [&](double step) {
              const double old = log_prob - log_ratio + (importance == kl_importance::ratio ? 0 : step);
              return term_at(estimate, importance, log_prob + step, old, log_prob - x).value;
            };
            const loss_value v = term_at(estimate, importance, log_prob, log_prob - log_ratio, log_prob - x);
            const auto [low, high] = std::minmax({(moved_by(h) - v.value) / h, (v.value - moved_by(-h)) / h});
            const double allowed = 1e-8 + 1e-6 * (std::abs(v.value) + std::abs(v.by_log_prob));
            CAPTURE(static_cast<int>(estimator));
            CAPTURE(static_cast<int>(importance));
            CAPTURE(x);
            CAPTURE(log_ratio);
            CHECK(v.by_log_prob >= low - allowed);
            CHECK(v.by_log_prob <= high + allowed);
          }
}

TEST_CASE("the value of one estimator and the gradient of another, as verl's k3+") {
  const auto row = test::rows_of(nothing{}, {{-2.25}, {-2}, {-0.75}, 3}).front();
  const auto both = infalign::with_kl(infalign::reinforce{},
                                      {.beta = kl_weight(0.5), .value = k3_of_verl, .gradient = {kl_estimator::k2}})(row);
  CHECK(both.value == doctest::Approx(3 * 2.25 + 0.5 * (std::exp(1.5) - 1.5 - 1)).epsilon(1e-15));
  CHECK(both.by_log_prob == -3 + 0.5 * -1.5);
  const auto of_ratio =
      infalign::with_kl(nothing{}, {kl_weight(1), {kl_estimator::k3}, {kl_estimator::k1}, kl_importance::ratio})(row);
  CHECK(of_ratio.value == doctest::Approx(std::exp(-0.25) * (std::exp(1.5) - 1.5 - 1)).epsilon(1e-15));
  CHECK(of_ratio.by_log_prob == doctest::Approx(std::exp(-0.25) * (1 - 1.5)).epsilon(1e-15));
  CHECK(infalign::with_kl(nothing{}, {.beta = kl_weight(0)})(test::rows_of(nothing{}, {{-1}, {-1}, {-INFINITY}, 0})[0]).value ==
        0);
}

TEST_CASE("reported: k3 overflows, and the loss becomes infinite or NaN (TRL 3015, OpenRLHF 1335)") {
  for (const kl_estimator estimator : every_estimator)
    for (const kl_importance importance : every_importance)
      for (const test::response& y : test::extreme_responses()) {
        const auto v = term_at({estimator}, importance, y.log_prob[0], y.old_log_prob[0], y.base_log_prob[0]);
        REQUIRE(std::isfinite(v.value));
        REQUIRE(std::isfinite(v.by_log_prob));
        REQUIRE(std::max(std::abs(v.value), std::abs(v.by_log_prob)) <= infalign::largest_loss);
      }
  CHECK(at(kl_estimator::k3, -1e4).value == infalign::largest_loss);
  CHECK(at(kl_estimator::k3, -1e4).by_log_prob == -infalign::largest_loss);
  CHECK(at(kl_estimator::k3, 1e4).value == 9999);
}

TEST_CASE("log-probabilities of -inf: the estimates have their limits") {
  struct limits {
    kl_estimator estimator;
    double at_low, slope_at_low, at_high, slope_at_high;
  };
  for (const limits& expected :
       {limits{kl_estimator::k1, -INFINITY, 1, INFINITY, 1}, limits{kl_estimator::absolute, INFINITY, -1, INFINITY, 1},
        limits{kl_estimator::k2, INFINITY, -INFINITY, INFINITY, INFINITY},
        limits{kl_estimator::k3, INFINITY, -INFINITY, INFINITY, 1}}) {
    const auto no_policy = term_at({expected.estimator}, kl_importance::none, -INFINITY, -1, -1);
    CHECK(no_policy.value == expected.at_low);
    CHECK(no_policy.by_log_prob == expected.slope_at_low);
    const auto no_base = term_at({expected.estimator}, kl_importance::none, -1, -1, -INFINITY);
    CHECK(no_base.value == expected.at_high);
    CHECK(no_base.by_log_prob == expected.slope_at_high);
    CHECK(std::isnan(term_at({expected.estimator}, kl_importance::none, -INFINITY, -1, -INFINITY).value));
    // A clamp makes both finite.
    const auto clamped = term_at({expected.estimator, 10, {-20, 20}}, kl_importance::none, -INFINITY, -1, -1);
    CHECK(std::abs(clamped.value) == 10);
    CHECK(clamped.by_log_prob == 0);
    const auto cut = term_at({expected.estimator, 10}, kl_importance::none, -INFINITY, -1, -1);
    CHECK(cut.value == (expected.at_low < 0 ? -10 : 10));
    CHECK(cut.by_log_prob == 0);
  }
  CHECK(term_at({kl_estimator::k1}, kl_importance::ratio, -INFINITY, -1, -1).value == 0);  // ρ·x
  CHECK(std::isnan(term_at({kl_estimator::k3}, kl_importance::ratio, -INFINITY, -1, -1).value));
}

TEST_CASE("reported: a clamped k3 whose derivative is 0 times infinity (TRL 6637)") {
  for (const double x : {-1e4, -800.0, -25.0, -3.0}) {
    const auto v = term_at(k3_of_verl, kl_importance::none, x, 0, 0);
    CHECK(v.value == 10);
    CHECK(v.by_log_prob == 0);
    const auto only_x = term_at({kl_estimator::k3, infalign::infinity<double>, {-2, 2}}, kl_importance::none, x, 0, 0);
    CHECK(only_x.value == doctest::Approx(std::exp(2.0) - 3));
    CHECK(only_x.by_log_prob == 0);
  }
}

TEST_CASE("reported: the KL's importance weight, a ratio that vanishes where e^-x overflows (TRL 4638, TRL 6594, slime 1004)") {
  // ρ = e^-1000, e^-x = e^1000.5: their product is π₀/π_old = e^0.5.
  const auto v = term_at({kl_estimator::k3}, kl_importance::ratio, -1001.5, -1.5, -1);
  CHECK(v.value == doctest::Approx(std::exp(0.5)).epsilon(1e-12));
  CHECK(v.by_log_prob == 0);  // ρ·x
  CHECK(term_at({kl_estimator::k3}, kl_importance::detached_ratio, -1001.5, -1.5, -1).by_log_prob ==
        doctest::Approx(-std::exp(0.5)).epsilon(1e-12));
  // ρ·k3 has the derivative ρ·x, also where k3 and its derivative are opposite and large.
  CHECK(term_at({kl_estimator::k3}, kl_importance::ratio, -60, -60.5, -1).by_log_prob ==
        doctest::Approx(-59 * std::exp(0.5)).epsilon(1e-15));
}

TEST_CASE("k3 has the error that it states, against its series and its formula in long double") {
  double worst = 0;
  for (double x = 1e-9; x < 80; x *= 1.013)
    for (const long double of : {static_cast<long double>(x), -static_cast<long double>(x)}) {
      long double exact = std::expm1(-of) + of;
      if (x < 0.5) {
        exact = 0;
        long double term = -of;
        for (int n = 2; n < 30; ++n) exact += term *= -of / n;
      }
      const auto error =
          std::abs(static_cast<long double>(at(kl_estimator::k3, static_cast<double>(of)).value) - exact) / exact;
      worst = test::larger(worst, static_cast<double>(error / 0x1p-53L));
    }
  CHECK(worst <= 16);
}

TEST_CASE("reported: a KL below 0 (EasyDeL 267, maxtext 5231)") {
  for (double x = 1e-17; x < 30; x *= 1.07)
    for (const double of : {x, -x}) {
      const double value = at(kl_estimator::k3, of).value;
      CHECK(value > 0);
      if (x < 1e-5) CHECK(value == doctest::Approx(x * x / 2).epsilon(1e-5));
    }
}

TEST_CASE("a clamp of a KL estimate that is not allowed is named with its value") {
  const auto message = [](const kl_term& term) {
    return test::message_of<infalign::domain_error>([&] { (void)infalign::with_kl(nothing{}, term); });
  };
  const kl_weight beta(0.1);
  CHECK(message({beta, {kl_estimator::k3, 0}}) == "with_kl: largest is 0, must be positive");
  CHECK(message({beta, {kl_estimator::k3}, {kl_estimator::k1, NAN}}) == "with_kl: largest is nan, must be positive");
  CHECK(message({beta, {kl_estimator::k3, 10, {0.5, 20}}}) == "with_kl: log_ratio.low is 0.5, must be at most 0");
  CHECK(message({beta, {kl_estimator::k3, 10, {-20, -1}}}) == "with_kl: log_ratio.high is -1, must be at least 0");
}
