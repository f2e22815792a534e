// SPDX-License-Identifier: Apache-2.0
/// \file
/// Extrapolated success rates: against closed forms, and how often their intervals hold the truth. The table:
/// `evaluation_tests --no-skip --test-case="extrapolation table"`.
#include "infalign/evaluation/extrapolate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "infalign/core/binomial.hpp"
#include "support/samples.hpp"

using infalign::index_t;
namespace test = infalign::test;

namespace {

/// The mean over Beta(α, β) rates of the probability that one of n attempts succeeds.
double truth(double a, double b, double n) {
  return 1 - std::exp(std::lgamma(b + n) + std::lgamma(a + b) - std::lgamma(a + b + n) - std::lgamma(b));
}

struct counts {
  std::vector<index_t> samples, successes;
};
counts simulate(double a, double b, int prompts, index_t samples, std::mt19937_64& generator) {
  std::gamma_distribution<double> x(a), y(b);
  counts of;
  for (int p = 0; p < prompts; ++p) {
    const double u = x(generator), rate = u / (u + y(generator));
    of.samples.push_back(samples);
    of.successes.push_back(std::binomial_distribution<index_t>(samples, rate)(generator));
  }
  return of;
}

/// The mean curve of 1 - binom(n - c, N)/binom(n, N) at powers of two.
infalign::extrapolated_rate by_power_law(const counts& of, double target) {
  std::vector<double> attempts;
  for (double n = 1; n <= static_cast<double>(of.samples[0]); n *= 2) attempts.push_back(n);
  infalign::mean_covariance curve(static_cast<index_t>(attempts.size()));
  std::vector<double> point(attempts.size());
  for (std::size_t p = 0; p < of.samples.size(); ++p) {
    for (std::size_t i = 0; i < attempts.size(); ++i)
      point[i] = 1 - infalign::choose_ratio(of.samples[p] - of.successes[p], of.samples[p], static_cast<index_t>(attempts[i]));
    curve.add(point);
  }
  return infalign::extrapolate_power_law(curve, attempts, target);
}

struct outcome {
  double beta = 0, power = 0, width = 0, power_width = 0, bias = 0;
};
outcome cover(double a, double b, int prompts, index_t samples, double target, int data_sets, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const double exact = truth(a, b, target);
  outcome found;
  int done = 0;
  for (int r = 0; r < data_sets; ++r) {
    const counts of = simulate(a, b, prompts, samples, generator);
    if (std::count(of.successes.begin(), of.successes.end(), 0) == prompts) continue;  // which is refused
    const auto rate = infalign::fit_beta_rates(of.samples, of.successes).pass_at(target);
    const auto i = rate.interval(), j = by_power_law(of, target).interval();
    found.beta += i.low <= exact && exact <= i.high ? 1 : 0;
    found.power += j.low <= exact && exact <= j.high ? 1 : 0;
    found.width += i.high - i.low;
    found.power_width += j.high - j.low;
    found.bias += rate.value - exact;
    ++done;
  }
  return {found.beta / done, found.power / done, found.width / done, found.power_width / done, found.bias / done};
}

}  // namespace

TEST_CASE("the gamma function's logarithm and its derivatives") {
  for (const double x : {0.001, 0.3, 1.0, 2.0, 9.99, 10.0, 15.99, 123.4, 1e6}) {
    CHECK(std::abs(infalign::log_gamma(x) - std::lgamma(x)) <= 1e-14 * (1 + std::abs(std::lgamma(x))));
    CHECK(std::abs(infalign::digamma(x + 1) - infalign::digamma(x) - 1 / x) <= 1e-13 * (1 + 1 / x));
    CHECK(std::abs(infalign::trigamma(x) - infalign::trigamma(x + 1) - 1 / (x * x)) <= 1e-13 / (x * x) + 1e-17);
    const double h = 1e-5 * x;
    const double slope = (infalign::log_gamma(x + h) - infalign::log_gamma(x - h)) / (2 * h);
    CHECK(std::abs(infalign::digamma(x) - slope) <= 1e-6 * (1 + std::abs(slope)));
  }
  CHECK(std::abs(infalign::digamma(1) + 0.57721566490153286061) <= 1e-14);  // Euler's constant
  CHECK(std::abs(infalign::trigamma(1) - 1.6449340668482264365) <= 1e-13);  // π²/6
}

TEST_CASE("Beta rates: the derivatives of the likelihood, and the rate at any number of attempts") {
  const double a = 0.4, b = 7, n = 30, c = 4, h = 1e-6;
  const auto at = [&](double x, double y) {
    return infalign::detail::beta_likelihood::of(a * std::exp(x), b * std::exp(y), n, c);
  };
  CHECK(std::abs(at(0, 0).by_alpha - (at(h, 0).value - at(-h, 0).value) / (2 * h)) <= 1e-7);
  CHECK(std::abs(at(0, 0).by_beta - (at(0, h).value - at(0, -h).value) / (2 * h)) <= 1e-7);
  CHECK(std::abs(at(0, 0).alpha_alpha - (at(h, 0).by_alpha - at(-h, 0).by_alpha) / (2 * h)) <= 1e-7);
  CHECK(std::abs(at(0, 0).alpha_beta - (at(0, h).by_alpha - at(0, -h).by_alpha) / (2 * h)) <= 1e-7);
  CHECK(std::abs(at(0, 0).beta_beta - (at(0, h).by_beta - at(0, -h).by_beta) / (2 * h)) <= 1e-7);
  infalign::beta_rates uniform{1, 1, 0, 0, 0, 10};
  for (const double attempts : {1.0, 2.0, 10.0, 1e4})
    CHECK(std::abs(uniform.pass_at(attempts).value - attempts / (attempts + 1)) <= 1e-12);
}

TEST_CASE("the fit finds the rates that were simulated, and its curve the one that was sampled") {
  std::mt19937_64 generator(3);
  const counts of = simulate(0.5, 5, 4000, 50, generator);
  const infalign::beta_rates rates = infalign::fit_beta_rates(of.samples, of.successes);
  CHECK(std::abs(std::log(rates.alpha / 0.5)) <= 4 * std::sqrt(rates.variance_alpha));
  CHECK(std::abs(std::log(rates.beta / 5)) <= 4 * std::sqrt(rates.variance_beta));
  CHECK(std::sqrt(rates.variance_alpha) <= 0.1);
  const auto at = rates.pass_at(30);
  CHECK(at.interval().low <= truth(0.5, 5, 30));
  CHECK(truth(0.5, 5, 30) <= at.interval().high);
}

TEST_CASE("intervals at 10,000 attempts from at most 1,000 hold the truth in 90 % of data sets") {
  const int data_sets = test::draws(150);
  const double least = 0.9 - 2.5 * std::sqrt(0.09 / data_sets);
  CHECK(cover(0.3, 10, 60, 1000, 1e4, data_sets, 1).beta >= least);
  CHECK(cover(0.15, 2, 100, 300, 1e4, data_sets, 2).beta >= least);
  CHECK(cover(1, 200, 60, 1000, 1e4, data_sets, 3).beta >= least);
}

// A curve that is a power law, without noise: all of the error is rounding, and the second half says the same.
TEST_CASE("a power law is continued exactly, and one that bends says so") {
  std::vector<double> attempts{1, 2, 4, 8, 16, 32, 64, 128}, rates;
  for (const double n : attempts) rates.push_back(std::exp(-3 * std::pow(n, -0.3)));
  infalign::mean_covariance curve(8);
  for (int i = 0; i < 3; ++i) curve.add(rates);
  const auto found = infalign::extrapolate_power_law(curve, attempts, 1e4);
  CHECK(std::abs(found.value - std::exp(-3 * std::pow(1e4, -0.3))) <= 1e-12);
  CHECK(found.model_error <= 1e-10);
  infalign::mean_covariance bent(8);
  for (std::size_t i = 0; i < rates.size(); ++i) rates[i] = 0.9 * (1 - std::exp(-0.05 * attempts[i]));
  for (int i = 0; i < 3; ++i) bent.add(rates);
  CHECK(infalign::extrapolate_power_law(bent, attempts, 1e4).model_error > 0.1);
}

TEST_CASE("the interval of an extrapolated rate: by hand in log-odds, and everything where there are none") {
  const double t = 2.2281388519649385;  // scipy.stats.t.ppf(0.975, 10)
  const auto odds = [](double rate) { return rate / (1 - rate); };
  const auto found = infalign::extrapolated_rate{0.2, 0.3, 0.1, 11}.interval();
  CHECK(odds(found.low) == doctest::Approx(0.25 * std::exp(-0.3 * t - 0.1)).epsilon(1e-10));
  CHECK(odds(found.high) == doctest::Approx(0.25 * std::exp(0.3 * t + 0.1)).epsilon(1e-10));
  constexpr double inf = infalign::infinity<double>;
  for (const infalign::extrapolated_rate& unknown : {infalign::extrapolated_rate{0, 0.1, 0, 50},
                                                     {1, 0.1, 0, 50},
                                                     {NAN, 0.1, 0, 50},
                                                     {0.5, inf, 0, 50},
                                                     {0.5, NAN, 0, 50},
                                                     {0.5, 0.1, 0, 1}}) {
    const auto i = unknown.interval();
    CHECK(i.low == 0);
    CHECK(i.high == 1);
  }
  // A rate that is 1 to the last digit.
  const auto certain = infalign::beta_rates{50, 1, 0.1, 0, 0.1, 20}.pass_at(1e9);
  CHECK(certain.value == 1);
  CHECK(certain.interval().low == 0);
}

TEST_CASE("counts without an answer are refused") {
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  const std::vector<index_t> n{10, 10}, none{0, 0}, all{10, 10}, more{3, 11};
  CHECK(message([&] { (void)infalign::fit_beta_rates(n, none); }) ==
        "fit_beta_rates: successes are 0 of 20 samples, the fit needs some of either");
  CHECK(message([&] { (void)infalign::fit_beta_rates(n, all); }) ==
        "fit_beta_rates: successes are 20 of 20 samples, the fit needs some of either");
  CHECK(message([&] { (void)infalign::fit_beta_rates(n, more); }) == "fit_beta_rates: successes[1] is 11, must be in 0 … 10");
  CHECK(message([&] { (void)infalign::fit_beta_rates(std::vector<index_t>{1}, std::vector<index_t>{1}); }) ==
        "fit_beta_rates: samples has 1 values, at least two prompts are needed");
  // Rates that do not differ at all: the fit ends at its bound, and knows no error of α.
  const std::vector<index_t> same{5, 5};
  CHECK(std::abs(infalign::fit_beta_rates(n, same).pass_at(1).value - 0.5) <= 1e-3);
}

TEST_CASE("extrapolation table" * doctest::skip()) {
  for (const auto& [a, b] : {std::pair{0.15, 2.0}, {0.3, 10.0}, {0.3, 100.0}, {1.0, 200.0}, {3.0, 30.0}})
    for (const int prompts : {20, 50, 200})
      for (const index_t samples : {100, 1000}) {
        const outcome found = cover(a, b, prompts, samples, 1e4, 1000, 1);
        std::printf(
            "Beta(%g, %g), %d prompts, %d samples: truth %.4f, held %.3f (width %.4f, bias %+.4f); power law %.3f (%.4f)\n", a,
            b, prompts, static_cast<int>(samples), truth(a, b, 1e4), found.beta, found.width, found.bias, found.power,
            found.power_width);
        std::fflush(stdout);
      }
}
