// SPDX-License-Identifier: Apache-2.0
/// \file
/// How many prompts an evaluation needs: for a wanted standard error or interval of a mean win rate, or to detect a difference
/// between two policies that are compared on the same prompts. How many samples to draw of each prompt is in
/// `theory/sampling_plan.hpp`; how many references calibration needs is in `calibration/uncertainty.hpp`.
///
/// Everything here is about the mean of one independent value per prompt (see `summarize`), in the normal approximation. That
/// is good from a few dozen prompts on; below, add two or three prompts, as Student's t would ask for.
#pragma once

#include <cmath>
#include <string_view>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/normal_distribution.hpp"

namespace infalign {

/// The largest standard deviation that per-prompt win rates can have: values in [0, 1] vary most if half of them are 0 and half
/// are 1 (Popoviciu 1935). Differences of two win rates can have twice that. Policies mostly show values between 0.1 and 0.3.
inline constexpr double largest_win_rate_deviation = 0.5;

namespace detail {

inline void expects_deviation(std::string_view function, double deviation) {
  expects<domain_error>(deviation >= 0 && deviation < infinity<double>, function, "deviation is ", deviation,
                        ", must be finite and not negative");
}
inline void expects_inside(std::string_view function, std::string_view name, double value) {
  expects<domain_error>(value > 0 && value < 1, function, name, " is ", value, ", must be in (0, 1)");
}
inline void expects_positive(std::string_view function, std::string_view name, double value) {
  expects<domain_error>(value > 0 && value < infinity<double>, function, name, " is ", value, ", must be positive and finite");
}

/// The `z` with `P(|N(0,1)| ≤ z) = confidence`, 1.96 for 0.95. It is taken from the lower tail, so that a confidence close to 1
/// loses no digits.
inline double two_sided_quantile(double confidence) {
  return -standard_normal_quantile(0.5 * (1 - confidence));
}

/// The smallest count of at least 1 that is `enough`. Every larger count must be enough as well, and `guess` right up to
/// rounding.
template <class Enough>
index_t smallest_enough(std::string_view function, double guess, const Enough& enough) {
  expects<domain_error>(guess < 0x1.0p53, function, "more than 2^53 prompts are needed");
  index_t count = guess > 1 ? static_cast<index_t>(std::ceil(guess)) : 1;
  while (count > 1 && enough(count - 1)) --count;
  while (!enough(count)) ++count;
  return count;
}

inline double deviation_of_mean(double deviation, index_t prompts) {
  return deviation / std::sqrt(static_cast<double>(prompts));
}

}  // namespace detail

/// The smallest number of prompts for which a mean of values of standard deviation `deviation` has a standard error of at most
/// `error`: `⌈(deviation/error)²⌉`. For example 2500 for an error of 0.01 at a deviation of 0.5, which is the default.
/// Errors: `domain_error` for an error that is not positive, a negative deviation, or more than 2^53 prompts.
inline index_t prompts_for_standard_error(double error, double deviation = largest_win_rate_deviation) {
  constexpr const char* function = "prompts_for_standard_error";
  detail::expects_positive(function, "error", error);
  detail::expects_deviation(function, deviation);
  return detail::smallest_enough(function, (deviation / error) * (deviation / error),
                                 [&](index_t p) { return detail::deviation_of_mean(deviation, p) <= error; });
}

/// The smallest number of prompts for which the two-sided interval of a mean at `confidence` reaches at most `half_width` to
/// either side: `⌈(z·deviation/half_width)²⌉`. Source: Cochran, Sampling Techniques (1977), section 4.4. Errors: as above.
inline index_t prompts_for_half_width(double half_width, double confidence = 0.95,
                                      double deviation = largest_win_rate_deviation) {
  constexpr const char* function = "prompts_for_half_width";
  detail::expects_positive(function, "half_width", half_width);
  detail::expects_inside(function, "confidence", confidence);
  detail::expects_deviation(function, deviation);
  const double z = detail::two_sided_quantile(confidence);
  const double ratio = z * deviation / half_width;
  return detail::smallest_enough(function, ratio * ratio,
                                 [&](index_t p) { return z * detail::deviation_of_mean(deviation, p) <= half_width; });
}

/// A two-sided test of whether a mean difference is 0. Its significance is `1 - confidence`; it detects a true difference with
/// probability `power`.
struct test_design {
  double power = 0.8;
  double confidence = 0.95;
};

/// The probability that the two-sided test detects a mean difference of `difference`, given `prompts` paired per-prompt
/// differences of standard deviation `deviation`. With N the normal CDF it is `N(d - z) + N(-d - z)`,
/// `d = |difference|·√prompts/deviation`. The second term is the probability of detecting the wrong sign. At `difference = 0`
/// the power equals the significance.
/// Errors: `domain_error` for no prompts, or values out of range.
inline double power_of_prompts(index_t prompts, double difference, double deviation, double confidence = 0.95) {
  constexpr const char* function = "power_of_prompts";
  expects<domain_error>(prompts >= 1, function, "prompts is ", prompts, ", must be at least 1");
  expects<domain_error>(difference - difference == 0, function, "difference is ", difference, ", must be finite");
  detail::expects_positive(function, "deviation", deviation);
  detail::expects_inside(function, "confidence", confidence);
  constexpr double root_half = 0.70710678118654752440;
  const double d = std::abs(difference) / detail::deviation_of_mean(deviation, prompts);
  const double z = detail::two_sided_quantile(confidence);
  return 0.5 * (std::erfc((z - d) * root_half) + std::erfc((z + d) * root_half));
}

/// The smallest number of prompts with which a mean difference of `difference` is detected with the wanted power:
/// `power_of_prompts(P, …) >= design.power`; about `((z_confidence + z_power)·deviation/difference)²`.
/// Source: Chow, Shao, Wang, Sample Size Calculations in Clinical Research (2008), section 3.1. Errors: `domain_error` for
/// values out of range. The power must exceed the significance, which even a single prompt has.
inline index_t prompts_for_difference(double difference, double deviation, const test_design& design = {}) {
  constexpr const char* function = "prompts_for_difference";
  expects<domain_error>(difference != 0 && difference - difference == 0, function, "difference is ", difference,
                        ", must be finite and not 0");
  detail::expects_positive(function, "deviation", deviation);
  detail::expects_inside(function, "confidence", design.confidence);
  detail::expects_inside(function, "power", design.power);
  expects<domain_error>(design.power > 1 - design.confidence, function, "power is ", design.power,
                        ", must be more than the significance, ", 1 - design.confidence);
  const double z = detail::two_sided_quantile(design.confidence) + standard_normal_quantile(design.power);
  const double ratio = z * deviation / difference;
  return detail::smallest_enough(function, z > 0 ? ratio * ratio : 1, [&](index_t p) {
    return power_of_prompts(p, difference, deviation, design.confidence) >= design.power;
  });
}

/// The smallest difference that `prompts` paired differences detect with the wanted power. It solves `power_of_prompts` for the
/// difference by bisection, to the last digits. Errors: `domain_error` as in `prompts_for_difference`.
inline double detectable_difference(index_t prompts, double deviation, const test_design& design = {}) {
  constexpr const char* function = "detectable_difference";
  detail::expects_inside(function, "power", design.power);
  const double significance = power_of_prompts(prompts, 0, deviation, design.confidence);
  expects<domain_error>(design.power > significance, function, "power is ", design.power,
                        ", must be more than the significance, ", significance);
  const double unit = detail::deviation_of_mean(deviation, prompts);
  double low = 0;
  double high = unit;
  while (power_of_prompts(prompts, high, deviation, design.confidence) < design.power) high *= 2;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (power_of_prompts(prompts, middle, deviation, design.confidence) < design.power ? low : high) = middle;
  }
  return high;
}

}  // namespace infalign
