// SPDX-License-Identifier: Apache-2.0
/// \file
/// Success rates at more attempts than were sampled: how often at least one of 10,000 jailbreaks succeeds, from 1,000 a prompt.
///
/// \code
/// const infalign::beta_rates rates = infalign::fit_beta_rates(samples, successes);     // one number a prompt
/// rates.pass_at(10'000).interval(0.95);
/// \endcode
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/gamma.hpp"
#include "infalign/core/student_t.hpp"
#include "infalign/core/views.hpp"
#include "infalign/statistics/estimate.hpp"
#include "infalign/statistics/mean_covariance.hpp"

namespace infalign {

/// A success rate that was not sampled: what a model of the prompts' rates says.
struct extrapolated_rate {
  double value = 0;
  double log_odds_error = 0;  ///< standard error of `log(value/(1 - value))`, over prompts
  double model_error = 0;     ///< how far, in log-odds, the model itself may be off; 0 where it says nothing of that
  index_t count = 0;          ///< prompts

  /// `value ± (t·log_odds_error + model_error)` in log-odds, Student's t with count - 1 degrees of freedom. It is [0, 1] where the error
  /// is unknown, or the value has no log-odds: 0, 1 or NaN. Errors: `domain_error` for a level outside (0, 1).
  [[nodiscard]] INFALIGN_KEYED confidence_interval interval(double level = 0.95) const {
    expects<domain_error>(level > 0 && level < 1, "extrapolated_rate::interval", "level is ", level, ", must be in (0, 1)");
    if (count < 2 || !(log_odds_error < infinity<double>) || !(value > 0 && value < 1)) return {0, 1};
    const double width = -student_t_quantile(0.5 * (1 - level), static_cast<double>(count - 1)) * log_odds_error + model_error;
    const double odds = std::log(value / (1 - value));
    const auto rate = [](double x) { return x > 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); };
    return {rate(odds - width), rate(odds + width)};
  }
};

/// Prompts whose success rates are Beta(α, β) distributed, fitted to counts.
struct beta_rates {
  double alpha = 1;
  double beta = 1;
  /// Covariance of `(log α, log β)`, over prompts: the sandwich, which also holds where rates are not quite Beta distributed.
  double variance_alpha = 0, covariance = 0, variance_beta = 0;
  index_t count = 0;

  /// The mean over prompts of `1 - (1-p)^N`, the probability that at least one of N attempts succeeds: `1 - B(α, β+N)/B(α, β)`.
  /// Errors: `domain_error` for N < 1.
  [[nodiscard]] INFALIGN_KEYED extrapolated_rate pass_at(double n) const {
    expects<domain_error>(n >= 1 && n < infinity<double>, "beta_rates::pass_at", "n is ", n, ", must be at least 1");
    const double log_missed = log_gamma(beta + n) - log_gamma(alpha + beta + n) - log_gamma(beta) + log_gamma(alpha + beta);
    const double common = digamma(alpha + beta) - digamma(alpha + beta + n);
    const double by_alpha = alpha * common, by_beta = beta * (common + digamma(beta + n) - digamma(beta));
    const double variance =
        by_alpha * by_alpha * variance_alpha + 2 * by_alpha * by_beta * covariance + by_beta * by_beta * variance_beta;
    const double rate = -std::expm1(log_missed);
    // d log-odds = -d log missed / rate
    return {rate, std::sqrt(std::max(variance, 0.0)) / rate, 0, count};
  }
};

namespace detail {

/// The logarithm of the likelihood of one prompt with its derivatives by `log α` and `log β`.
struct beta_likelihood {
  double value = 0;
  double by_alpha = 0, by_beta = 0;
  double alpha_alpha = 0, alpha_beta = 0, beta_beta = 0;

  INFALIGN_KEYED static beta_likelihood of(double a, double b, double n, double c) {
    beta_likelihood l;
    l.value = log_gamma(a + c) - log_gamma(a) + log_gamma(b + n - c) - log_gamma(b) + log_gamma(a + b) - log_gamma(a + b + n);
    const double common = digamma(a + b) - digamma(a + b + n), second = trigamma(a + b) - trigamma(a + b + n);
    const double da = digamma(a + c) - digamma(a) + common, db = digamma(b + n - c) - digamma(b) + common;
    l.by_alpha = a * da;
    l.by_beta = b * db;
    l.alpha_alpha = a * a * (trigamma(a + c) - trigamma(a) + second) + a * da;
    l.beta_beta = b * b * (trigamma(b + n - c) - trigamma(b) + second) + b * db;
    l.alpha_beta = a * b * second;
    return l;
  }
  INFALIGN_KEYED void add(const beta_likelihood& o) {
    value += o.value;
    by_alpha += o.by_alpha;
    by_beta += o.by_beta;
    alpha_alpha += o.alpha_alpha;
    alpha_beta += o.alpha_beta;
    beta_beta += o.beta_beta;
  }
};

INFALIGN_KEYED inline beta_likelihood total_likelihood(double a, double b, span<const index_t> samples,
                                                       span<const index_t> successes) {
  beta_likelihood sum;
  for (index_t p = 0; p < samples.size(); ++p)
    sum.add(beta_likelihood::of(a, b, static_cast<double>(samples[p]), static_cast<double>(successes[p])));
  return sum;
}

/// One step of Newton's method, with as much added to the curvature as makes it a step uphill; halved until the likelihood grows.
INFALIGN_KEYED inline bool climb(double& x, double& y, beta_likelihood& at, span<const index_t> samples,
                                 span<const index_t> successes) {
  constexpr double bound = 16;  // e^16: rates that hardly differ
  double ridge = 0;
  const double scale = std::abs(at.alpha_alpha) + std::abs(at.beta_beta) + 1e-12;
  for (;; ridge = ridge == 0 ? 1e-3 * scale : 4 * ridge) {
    const double p = -at.alpha_alpha + ridge, q = -at.alpha_beta, r = -at.beta_beta + ridge, determinant = p * r - q * q;
    if (p > 0 && determinant > 1e-14 * p * std::abs(r)) {
      const double dx = (r * at.by_alpha - q * at.by_beta) / determinant, dy = (p * at.by_beta - q * at.by_alpha) / determinant;
      const double longest = std::max(std::abs(dx), std::abs(dy)), cut = longest > 2 ? 2 / longest : 1;
      const double nx = std::clamp(x + cut * dx, -bound, bound), ny = std::clamp(y + cut * dy, -bound, bound);
      if (std::max(std::abs(nx - x), std::abs(ny - y)) < 1e-10) return false;
      const beta_likelihood next = total_likelihood(std::exp(nx), std::exp(ny), samples, successes);
      if (next.value > at.value) {
        x = nx, y = ny, at = next;
        return true;
      }
    }
    if (ridge > 1e12 * scale) return false;
  }
}

}  // namespace detail

/// The Beta distribution of success rates over prompts that makes the counts most likely, with its error over prompts. For a mixture of
/// easy and hard prompts the miss rate falls like `N^{-α}`, which is the power law of repeated attempts.
///
/// - Shapes: `samples` P ≥ 2 numbers, how many samples each prompt has, `successes` as many, how many of them succeeded.
/// - Coverage of 95 % intervals of `pass_at(10'000)` from rates that are Beta distributed, in 1000 data sets of 20, 50 or 200 prompts with
///   100 or 1000 samples each: 0.939 to 0.979 for Beta(0.15, 2) and Beta(0.3, 10) (tests/evaluation/extrapolate_test.cpp); in 4,000 of 5
///   prompts with 100 samples 0.99 (tests/coverage/predictions.cpp). It rests on how rates are distributed near 0. Where some prompts
///   never succeed, that is no power of the rate, and the fit promises too much: compare `extrapolate_power_law`.
/// - Cost: some dozens of passes over the counts, 0.5 µs a prompt each.
/// - Errors: `shape_error`; `domain_error` for counts that are none, or if no prompt or every sample succeeded: then the largest
///   likelihood is at no finite α and β.
/// - Source: beta-binomial model, Williams, Biometrics 31 (1975); sandwich: White, Econometrica 50 (1982); its use for repeated attempts:
///   Schaeffer et al., arXiv 2502.17578.
[[nodiscard]] INFALIGN_KEYED inline beta_rates fit_beta_rates(span<const index_t> samples, span<const index_t> successes) {
  constexpr const char* function = "fit_beta_rates";
  expects<shape_error>(samples.size() >= 2, function, "samples has ", samples.size(),
                       " values, at least two prompts are needed");
  expects<shape_error>(successes.size() == samples.size(), function, "successes has ", successes.size(),
                       " values, samples has ", samples.size());
  double n = 0, c = 0;
  for (index_t p = 0; p < samples.size(); ++p) {
    expects<domain_error>(samples[p] >= 1, function, "samples[", p, "] is ", samples[p], ", must be at least 1");
    expects<domain_error>(successes[p] >= 0 && successes[p] <= samples[p], function, "successes[", p, "] is ", successes[p],
                          ", must be in 0 … ", samples[p]);
    n += static_cast<double>(samples[p]);
    c += static_cast<double>(successes[p]);
  }
  expects<domain_error>(c > 0 && c < n, function, "successes are ", c, " of ", n, " samples, the fit needs some of either");
  double x = std::log(c / n), y = std::log(1 - c / n);
  detail::beta_likelihood at = detail::total_likelihood(std::exp(x), std::exp(y), samples, successes);
  for (int step = 0; step < 200 && detail::climb(x, y, at, samples, successes); ++step) {
  }
  const double a = std::exp(x), b = std::exp(y);
  double ss = 0, st = 0, tt = 0;  // of the prompts' derivatives
  for (index_t p = 0; p < samples.size(); ++p) {
    const auto own = detail::beta_likelihood::of(a, b, static_cast<double>(samples[p]), static_cast<double>(successes[p]));
    ss += own.by_alpha * own.by_alpha;
    st += own.by_alpha * own.by_beta;
    tt += own.by_beta * own.by_beta;
  }
  const auto prompts = static_cast<double>(samples.size());
  const double finite = prompts / (prompts - 1), p = -at.alpha_alpha, q = -at.alpha_beta, r = -at.beta_beta, d = p * r - q * q;
  if (!(p > 0 && d > 0)) return {a, b, infinity<double>, 0, infinity<double>, samples.size()};
  const double u = r / d, v = -q / d, w = p / d;  // the inverse of the curvature
  return {a,
          b,
          finite * (u * u * ss + 2 * u * v * st + v * v * tt),
          finite * (u * v * ss + (u * w + v * v) * st + v * w * tt),
          finite * (v * v * ss + 2 * v * w * st + w * w * tt),
          samples.size()};
}

/// The success rate at `target` attempts by the power law `-log rate(N) = a·N^{-b}`: a straight line through
/// `(log N, log(-log rate))`, fitted to the mean curve over prompts. The error over prompts is that of the delta method; the model's is
/// the difference to the prediction from the points of the second half, since a curve that bends shows it there first.
///
/// In the same data sets its intervals held in 0.970 to 0.996 for Beta(0.3, 10), and in 0.58 to 0.975 for Beta(0.15, 2), whose curve is no
/// power law until much later: more prompts then make it surer of the wrong value. Where it and `fit_beta_rates` differ, trust neither.
///
/// - Shapes: `curve` the state of the prompts' values at N (columns of `expected_reward_curve`, say), `attempts` the K ≥ 4 increasing N.
/// - Errors: `shape_error`; `domain_error` for attempts that do not increase, a mean rate that is 0 or 1, or a target below the last N.
/// - Source: Hughes et al., Best-of-N jailbreaking, arXiv 2412.03556, section 4.
[[nodiscard]] INFALIGN_KEYED inline extrapolated_rate extrapolate_power_law(const mean_covariance& curve,
                                                                            span<const double> attempts, double target) {
  constexpr const char* function = "extrapolate_power_law";
  const index_t k = attempts.size();
  expects<shape_error>(k >= 4, function, "attempts has ", k, " values, at least 4 are needed");
  expects<shape_error>(curve.values() == k && curve.count() >= 2, function, "curve has ", curve.values(), " values of ",
                       curve.count(), " prompts, must have ", k, " of at least 2");
  for (index_t i = 0; i < k; ++i) {
    expects<domain_error>(attempts[i] >= (i == 0 ? 1 : std::nextafter(attempts[i - 1], infinity<double>)), function,
                          "attempts[", i, "] is ", attempts[i], ", must be at least 1 and increase");
    expects<domain_error>(curve.mean(i) > 0 && curve.mean(i) < 1, function, "the rate at ", attempts[i], " attempts is ",
                          curve.mean(i), ", must be between 0 and 1");
  }
  expects<domain_error>(target >= attempts[k - 1], function, "target is ", target, ", must be at least ", attempts[k - 1]);
  const auto log_odds = [&](const double* rates, index_t from) {
    double mx = 0, my = 0, xy = 0, xx = 0;
    const auto n = static_cast<double>(k - from);
    const auto x = [&](index_t i) { return std::log(attempts[i]); };
    const auto y = [&](index_t i) { return std::log(-std::log(rates[i])); };
    for (index_t i = from; i < k; ++i) mx += x(i) / n, my += y(i) / n;
    for (index_t i = from; i < k; ++i) xy += (x(i) - mx) * (y(i) - my), xx += (x(i) - mx) * (x(i) - mx);
    const double missing = std::exp(my + xy / xx * (std::log(target) - mx));  // -log rate
    return -missing - std::log(-std::expm1(-missing));
  };
  const estimate found = delta_method(curve, [&](const double* rates) { return log_odds(rates, 0); });
  std::vector<double> means;
  for (index_t i = 0; i < k; ++i) means.push_back(curve.mean(i));
  const double late = log_odds(means.data(), k / 2);
  return {1 / (1 + std::exp(-found.value)), found.standard_error, std::abs(late - found.value), curve.count()};
}

}  // namespace infalign
