// SPDX-License-Identifier: Apache-2.0
/// \file
/// Transforms of calibrated rewards without the bias of few references: against the expectation over all ways the references may fall.
#include "infalign/evaluation/expected_transform.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/power.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::reference_counts;
namespace test = infalign::test;

namespace {

/// The expectation of an estimator where each of k references loses with probability `lose`, ties with `tie`, wins otherwise.
template <class Estimator>
double expectation(const Estimator& estimator, index_t k, double win, double tie) {
  double sum = 0;
  for (index_t w = 0; w <= k; ++w)
    for (index_t h = 0; w + h <= k; ++h) {
      const auto n = static_cast<double>(k), a = static_cast<double>(w), b = static_cast<double>(h), c = n - a - b;
      const double ways = std::lgamma(n + 1) - std::lgamma(a + 1) - std::lgamma(b + 1) - std::lgamma(c + 1);
      const double p = std::exp(ways) * std::pow(win, a) * std::pow(tie, b) * std::pow(1 - win - tie, c);
      sum += p * estimator(reference_counts{w, h, k});
    }
  return sum;
}

struct plug_in_exponential {
  double t;
  double operator()(const reference_counts& of) const { return std::exp(t * of.quantile()); }
};

}  // namespace

TEST_CASE("polynomials and exponentials are unbiased, ties included") {
  const std::vector<double> cubic{0.5, -1, 3, 2};
  for (const auto& [win, tie] : {std::pair{0.3, 0.2}, {0.9, 0.0}, {0.0, 0.7}, {0.05, 0.9}}) {
    const double u = win + tie / 2;
    CHECK(std::abs(expectation(infalign::unbiased_polynomial(cubic), 7, win, tie) - (0.5 - u + 3 * u * u + 2 * u * u * u)) <=
          1e-12);
    for (const double t : {2.0, 5.0, -5.0}) {
      const double exact = (t > 0 ? 1 : -1) * std::exp(t * u);
      CHECK(std::abs(expectation(infalign::unbiased_exponential(t), 32, win, tie) - exact) <= 2e-9 * std::exp(std::abs(t)));
    }
  }
}

TEST_CASE("jackknife and series leave a bias of order 1/K², where the plug-in has one of order 1/K") {
  const auto bias = [](const auto& estimator, index_t k) {
    return std::abs(expectation(estimator, k, 0.5, 0) - std::exp(2.5));
  };
  const infalign::exponential e(5);
  const infalign::jackknife_corrected jackknife{e};
  const infalign::series_corrected series{e};
  CHECK(std::abs(bias(plug_in_exponential{5}, 40) / bias(plug_in_exponential{5}, 80) - 2) <= 0.2);
  CHECK(std::abs(bias(jackknife, 40) / bias(jackknife, 80) - 4) <= 0.6);
  CHECK(bias(series, 40) / bias(series, 80) >= 3);
  for (const index_t k : {40, 80}) CHECK(bias(jackknife, k) <= 0.2 * bias(plug_in_exponential{5}, k));
  // e^{10u} from 100 references: 12 % too large in the middle (theory), of which nothing is left.
  CHECK(std::abs(expectation(plug_in_exponential{10}, 100, 0.5, 0) / std::exp(5.0) - 1.13) <= 0.012);
  CHECK(std::abs(expectation(infalign::unbiased_exponential(10), 100, 0.5, 0) / std::exp(5.0) - 1) <= 1e-9);
}

TEST_CASE("the jackknife's errors are those of the estimates") {
  // Of many data sets: the mean of the squared errors that are reported is the variance of the estimates, within the jackknife's bias
  // upward (Efron and Stein 1981), which is of order 1/K.
  const index_t prompts = test::draws(20'000), k = 40;
  std::vector<double> references, rewards(static_cast<std::size_t>(prompts), 0.3), out(rewards.size()), errors(rewards.size());
  for (index_t i = 0; i < prompts * k; ++i) references.push_back(infalign::uniform_at(3, static_cast<std::uint64_t>(i)));
  infalign::simd on;
  corrected_transform(on, infalign::rows<const double>(references.data(), prompts, k),
                      infalign::rows<const double>(rewards.data(), prompts, 1), infalign::unbiased_exponential(5),
                      infalign::rows<double>(out.data(), prompts, 1), infalign::rows<double>(errors.data(), prompts, 1));
  const auto n = static_cast<double>(prompts);
  double mean = 0, squares = 0, fourth = 0, reported = 0;
  for (const double x : out) mean += x / n;
  for (const double x : out) squares += (x - mean) * (x - mean) / n;
  for (const double x : out) fourth += std::pow(x - mean, 4) / n;
  for (const double x : errors) reported += x * x / n;
  CHECK(std::abs(mean - std::exp(1.5)) <= 4 * std::sqrt(squares / n));
  const double error_of_squares = std::sqrt((fourth / (squares * squares) - 1) / n);  // relative, of a variance from n values
  CHECK(std::abs(reported / squares - 1.03) <= 0.05 + 4 * error_of_squares);
}

TEST_CASE("on backends: ragged and tied, the polynomial u is the calibrated reward") {
  const std::vector<double> z{1, 2, 2, 3, 5, 5, 5, 1}, y{2, 5, 0, 1, 9, 5};
  const std::vector<index_t> z_offsets{0, 3, 8}, y_offsets{0, 2, 6};
  std::vector<double> out(6), u(6);
  const infalign::ragged<const double> references(z, z_offsets), rewards(y, y_offsets);
  const infalign::unbiased_polynomial identity(std::vector<double>{0, 1});
  const auto check = [&](auto on) {
    corrected_transform(on, references, rewards, identity, infalign::ragged<double>(out, y_offsets));
    calibrate(on, references, rewards, infalign::ragged<double>(u, y_offsets));
    for (std::size_t i = 0; i < u.size(); ++i) CHECK(std::abs(out[i] - u[i]) <= 1e-15);
  };
  check(infalign::simd());
  check(infalign::scalar());
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  infalign::simd on;
  const infalign::unbiased_polynomial cubic(std::vector<double>{0, 0, 0, 0, 1});
  CHECK(message([&] { corrected_transform(on, references, rewards, cubic, infalign::ragged<double>(out, y_offsets)); }) ==
        "corrected_transform: references[0] has 3 values, fewer than the 4 that the estimate needs");
  CHECK(message([] { infalign::unbiased_exponential(0); }) == "unbiased_exponential: t is 0, must be in [-100, 100] and not 0");
  CHECK(message([] { infalign::unbiased_polynomial(std::vector<double>{}); }) ==
        "unbiased_polynomial: coefficients has 0 values, must have 1 to 17");
}
