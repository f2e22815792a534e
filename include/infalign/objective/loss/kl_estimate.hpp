// SPDX-License-Identifier: Apache-2.0
/// \file
/// Estimates of a KL from the sampled token alone, with their derivatives.
#pragma once

#include <cmath>

#include "infalign/objective/loss/likelihood_ratio.hpp"

namespace infalign {

/// What estimates the KL from `x = log π(a) - log π₀(a)` of the sampled token. The names are those of Schulman, "Approximating KL
/// divergence" (2020). Relative error, given `x`: `16·2⁻⁵³`, also of k3 next to 0.
enum class kl_estimator : unsigned char {
  k1,        ///< `x`
  absolute,  ///< `|x|`
  k2,        ///< `x²/2`
  k3,        ///< `e^-x + x - 1`
};

/// An estimator with the clamps of trainers; where one acts, the derivative is 0. verl's k3 is
/// `{kl_estimator::k3, .largest = 10, .log_ratio = {-20, 20}}`, and OpenRLHF's estimators have `.largest = 10`.
struct kl_estimate {
  kl_estimator estimator = kl_estimator::k3;
  double largest = infinity<double>;  ///< the estimate is clamped to [-largest, largest]
  log_ratio_range log_ratio{};        ///< `x` is clamped to it
};

namespace detail {

INFALIGN_KEYED inline void check_estimate(std::string_view function, const kl_estimate& estimate) {
  expects<domain_error>(estimate.largest > 0, function, "largest is ", estimate.largest, ", must be positive");
  check_range(function, estimate.log_ratio);
}

/// `e^-x + x - 1`. The terms cancel near 0, where the result is their third and later powers: there it is a series.
INFALIGN_HD inline double k3_of(double x) {
  using std::expm1;
  if (x < -1) return x == -infinity<double> ? -x : capped_exp(-x) + (x - 1);
  if (x < -0.25 || !(x <= 0.25)) return expm1(-x) + x;
  double sum = 0;
  for (int n = 13; n > 2; --n) sum = (1 + sum) * (-x / n);
  return x * x / 2 * (1 + sum);
}

/// An estimate times a weight: its value, its derivative, and its derivative if the weight is a ratio `ρ` that is differentiated as
/// well, `ρ·(k + k')`.
struct weighted_kl {
  double value;
  double slope;
  double slope_with_ratio;
};

INFALIGN_HD inline double kl_value(kl_estimator estimator, double x) {
  switch (estimator) {
    case kl_estimator::k1: return x;
    case kl_estimator::absolute: return x < 0 ? -x : x;
    case kl_estimator::k2: return capped_product(x, x / 2);
    default: return k3_of(x);
  }
}

INFALIGN_HD inline double kl_slope(kl_estimator estimator, double x) {
  using std::expm1;
  switch (estimator) {
    case kl_estimator::k1: return 1;
    case kl_estimator::absolute: return x < 0 ? -1 : x > 0 ? 1 : 0;
    case kl_estimator::k2: return x;
    default: return x < -1 ? 1 - capped_exp(-x) : -expm1(-x);
  }
}

/// The estimate at `x`, times `exp(log_weight)`. What overflows in k3 is multiplied in logarithms: a tiny weight times a huge
/// exponential is neither 0 nor infinite.
INFALIGN_HD inline weighted_kl weighted_estimate(const kl_estimate& of, double x, double log_weight) {
  const double weight = capped_exp(log_weight);
  const double clamped = clip(x, of.log_ratio.low, of.log_ratio.high);
  const double plain = kl_value(of.estimator, clamped);
  if (plain > of.largest || plain < -of.largest) {
    const double value = capped_product(weight, plain < 0 ? -of.largest : of.largest);
    return {value, 0, value};
  }
  const bool steep = of.estimator == kl_estimator::k3 && clamped < -1;
  const double exponential = steep ? capped_exp(log_weight - clamped) : 0;
  const double rest = exponential == infinity<double> ? 0 : capped_product(weight, clamped - 1);  // it outweighs -inf
  const double value = steep ? capped_sum(exponential, rest) : capped_product(weight, plain);
  if (clamped < x || clamped > x) return {value, 0, value};
  const double slope = steep ? capped_sum(weight, -exponential) : capped_product(weight, kl_slope(of.estimator, clamped));
  const bool k3 = of.estimator == kl_estimator::k3;  // whose value and slope add up to x, and would cancel
  return {value, slope, k3 ? capped_product(weight, x) : capped_sum(value, slope)};
}

}  // namespace detail

}  // namespace infalign
