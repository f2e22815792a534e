// SPDX-License-Identifier: Apache-2.0
/// \file
/// Student's t distribution: the error of a mean whose standard deviation is itself estimated from a few values.
#pragma once

#include <cmath>
#include <limits>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/normal_distribution.hpp"

namespace infalign {

namespace detail {

/// `Γ(a + ½) / Γ(a)`. From a = 20 on by its asymptotic series, in which nothing cancels.
INFALIGN_KEYED inline double gamma_half_ratio(double a) {
  if (a < 20) return std::exp(std::lgamma(a + 0.5) - std::lgamma(a));
  const double r = 1 / a;
  return std::sqrt(a) * polynomial(r, -399.0 / 262144, -21.0 / 32768, 5.0 / 1024, 1.0 / 128, -1.0 / 8, 1.0);
}

/// The continued fraction of the incomplete beta function `I_x(a, b)`, by Lentz's method. It converges fast for
/// `x < (a+1)/(a+b+2)`, and takes some `√a` steps.
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.5.8.
INFALIGN_KEYED inline double beta_fraction(double x, double a, double b) {
  constexpr double tiny = 1e-300;
  constexpr int most_steps = 20'000;
  const auto away_from_0 = [](double v) { return std::abs(v) < tiny ? tiny : v; };
  double c = 1, d = 1 / away_from_0(1 - (a + b) * x / (a + 1)), value = d;
  for (int m = 1; m < most_steps; ++m) {
    const double k = m;
    double change = 1;
    for (const double term :
         {k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k)), -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))}) {
      d = 1 / away_from_0(1 + term * d);
      c = away_from_0(1 + term / c);
      change = c * d;
      value *= change;
    }
    if (std::abs(change - 1) < 1e-16) break;
  }
  return value;
}

/// `P(T > t)` for `t >= 0`.
INFALIGN_KEYED inline double student_t_upper_tail(double t, double nu) {
  const double ratio = t * t / nu;
  const double log1p_ratio = ratio < infinity<double> ? std::log1p(ratio) : 2 * std::log(t) - std::log(nu);
  // Beyond, by the normal distribution: Wallace, Annals of Mathematical Statistics 30 (1959).
  if (nu > 1e6) return 0.5 * std::erfc(0.70710678118654752440 * (8 * nu + 1) / (8 * nu + 3) * std::sqrt(nu * log1p_ratio));
  const double a = 0.5 * nu;
  const double far = std::exp(-log1p_ratio);      // ν/(ν + t²)
  const double near = -std::expm1(-log1p_ratio);  // t²/(ν + t²)
  // x^a·(1-x)^b / B(a, b) with b = ½
  const double front = std::exp(-a * log1p_ratio) * std::sqrt(near) * gamma_half_ratio(a) * 0.56418958354775628695;
  if (far < (a + 1) / (a + 2.5)) return 0.5 * front / a * beta_fraction(far, a, 0.5);
  return 0.5 - front * beta_fraction(near, 0.5, a);
}

}  // namespace detail

/// `P(T <= t)` for Student's t with `degrees_of_freedom > 0`, which need not be whole: NaN for NaN, and the normal distribution in
/// the limit of infinitely many. Relative error of the smaller tail about 1e-11; beyond 10⁶ degrees of freedom,
/// and for tails below 1e-20, 1e-7.
/// Errors: `domain_error` unless `degrees_of_freedom > 0`.
INFALIGN_KEYED inline double student_t_cdf(double t, double degrees_of_freedom) {
  expects<domain_error>(degrees_of_freedom > 0, "student_t_cdf", "degrees_of_freedom is ", degrees_of_freedom,
                        ", must be positive");
  if (t != t) return t;
  const double tail = t - t != 0                               ? 0
                      : degrees_of_freedom == infinity<double> ? 0.5 * std::erfc(0.70710678118654752440 * std::abs(t))
                                                               : detail::student_t_upper_tail(std::abs(t), degrees_of_freedom);
  return t < 0 ? tail : 1 - tail;
}

/// The `t` with `P(T <= t) = probability`: -inf at 0, +inf at 1. For example 2.776 for 0.975 with 4 degrees of freedom, where the
/// normal distribution has 1.960. It is right to a relative error of 1e-11 of the smaller tail. By Newton's method on the
/// logarithm of the tail within a bracket, at most 200 steps.
/// Errors: `domain_error` unless `probability` is in [0, 1] and `degrees_of_freedom > 0`.
INFALIGN_KEYED inline double student_t_quantile(double probability, double degrees_of_freedom) {
  constexpr const char* function = "student_t_quantile";
  expects<domain_error>(probability >= 0 && probability <= 1, function, "probability is ", probability, ", must be in [0, 1]");
  expects<domain_error>(degrees_of_freedom > 0, function, "degrees_of_freedom is ", degrees_of_freedom, ", must be positive");
  if (degrees_of_freedom == infinity<double>) return standard_normal_quantile(probability);
  const double tail = probability < 0.5 ? probability : 1 - probability;
  const double sign = probability < 0.5 ? -1 : 1;
  if (tail == 0) return sign * infinity<double>;
  if (tail == 0.5) return 0;
  const double nu = degrees_of_freedom, wanted = std::log(tail);
  const double log_front = std::log(detail::gamma_half_ratio(0.5 * nu)) - 0.5 * std::log(nu) - 0.57236494292470008707;
  const auto log_density = [&](double t) {
    const double ratio = t * t / nu;
    return log_front - 0.5 * (nu + 1) * (ratio < infinity<double> ? std::log1p(ratio) : 2 * std::log(t) - std::log(nu));
  };
  double low = 0, high = std::numeric_limits<double>::max();
  double t = -standard_normal_quantile(tail);  // too small: the tails of t are the heavier ones
  for (int step = 0; step < 200; ++step) {
    const double log_tail = std::log(detail::student_t_upper_tail(t, nu));
    (log_tail > wanted ? low : high) = t;
    const double slope =
        -std::exp(log_density(t) - log_tail) * (t > 1 ? t : 1);  // in log t for large t, where it is nearly a line
    const double step_to = (wanted - log_tail) / slope;
    double next = t > 1 ? t * std::exp(step_to) : t + step_to;
    if (!(next > low && next < high)) next = low > 1 ? std::sqrt(low) * std::sqrt(high) : 0.5 * (low + (high < 4 ? high : 4));
    if (std::abs(next - t) <= 2e-16 * next) break;
    t = next;
  }
  return sign * (t < 1e307 ? t : infinity<double>);
}

}  // namespace infalign
