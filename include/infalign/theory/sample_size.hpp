// SPDX-License-Identifier: Apache-2.0
/// \file
/// How many prompts an evaluation needs: for a wanted standard error or interval of a mean win rate, or to detect a difference
/// between two policies that are compared on the same prompts. How many samples to draw of each prompt is in
/// `theory/sampling_plan.hpp`; how many references calibration needs is in `calibration/uncertainty.hpp`.
///
/// Everything here is about the mean of one independent value per prompt (see `summarize`), and about Student's t: intervals
/// `value ± t·standard_error`, and the test whether a mean difference is 0. Within a finite range, `estimate::interval` is a little
/// wider than that. The test by signs, `sign_flip_p_value`, has about the same power.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/normal_distribution.hpp"
#include "infalign/core/student_t.hpp"
#include "infalign/theory/detail/chebyshev.hpp"

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

/// The `t` with `P(|T| ≤ t) = confidence` for the mean of `prompts` values. It is taken from the lower tail, so that a confidence
/// close to 1 loses no digits.
inline double two_sided_quantile(double confidence, index_t prompts) {
  return -student_t_quantile(0.5 * (1 - confidence), static_cast<double>(prompts - 1));
}

/// The smallest count of at least `least` that is `enough`. Every larger count must be enough as well. `guess` is where the search
/// starts: it doubles its step until the count lies between, then halves it.
template <class Enough>
index_t smallest_enough(std::string_view function, double guess, index_t least, const Enough& enough) {
  expects<domain_error>(guess < 0x1.0p53, function, "more than 2^53 prompts are needed");
  index_t high = guess > static_cast<double>(least) ? static_cast<index_t>(std::ceil(guess)) : least;
  index_t low = least - 1;  // not enough, or out of the question
  for (index_t step = 1; !enough(high); step *= 2) {
    low = high;
    high += step;
  }
  for (index_t step = 1; high - step > low; step *= 2) {
    if (!enough(high - step)) {
      low = high - step;
      break;
    }
    high -= step;
  }
  while (high - low > 1) {
    const index_t middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

inline double deviation_of_mean(double deviation, index_t prompts) {
  return deviation / std::sqrt(static_cast<double>(prompts));
}

/// `P(|T| > t)` for `T = (X + shift)/s` with X standard normal and `ν·s²` chi-squared with ν degrees of freedom, Student's t with a
/// shift ("noncentral"): the mean over s of `P(|X + shift| > t·s)`. The density of s is smooth and has all its mass within nine
/// standard deviations; the integrand turns where `t·s` passes the shift. Integrated by polynomials of degree 16, to about 1e-13.
inline double shifted_t_power(double t, double shift, double nu) {
  constexpr double root_half = 0.70710678118654752440;
  const double width = 9 / std::sqrt(2 * nu);
  const double first = width < 1 ? 1 - width : 0, last = 1 + width * (nu < 10 ? 2 : 1);
  std::vector<double> edges;
  for (int k = 0; k <= 24; ++k) edges.push_back(first + (last - first) * k / 24);
  for (int k = -8; k <= 8; ++k) edges.push_back(std::clamp((shift + k) / t, first, last));
  std::sort(edges.begin(), edges.end());
  const chebyshev& points = chebyshev::points();
  double found = 0, mass = 0;
  for (std::size_t k = 0; k + 1 < edges.size(); ++k) {
    const double half = 0.5 * (edges[k + 1] - edges[k]);
    if (!(half > 0)) continue;
    for (std::size_t i = 0; i < chebyshev::size; ++i) {
      const double s = edges[k] + half * (1 + points.node[i]);
      // s^(ν-1)·e^(-ν·s²/2), up to a factor that the division by the mass takes out
      const double log_density = s > 0    ? (nu - 1) * std::log(s) - 0.5 * nu * (s - 1) * (s + 1)
                                 : nu > 1 ? -infinity<double>
                                          : 0.5 * nu;
      const double share = half * points.weight[i] * std::exp(log_density);
      mass += share;
      found += share * 0.5 * (std::erfc((t * s - shift) * root_half) + std::erfc((t * s + shift) * root_half));
    }
  }
  return found / mass;
}

}  // namespace detail

/// The smallest number of prompts for which a mean of values of standard deviation `deviation` has a standard error of at most
/// `error`: `⌈(deviation/error)²⌉`. For example 2500 for an error of 0.01 at a deviation of 0.5, which is the default.
/// Errors: `domain_error` for an error that is not positive, a negative deviation, or more than 2^53 prompts.
inline index_t prompts_for_standard_error(double error, double deviation = largest_win_rate_deviation) {
  constexpr const char* function = "prompts_for_standard_error";
  detail::expects_positive(function, "error", error);
  detail::expects_deviation(function, deviation);
  return detail::smallest_enough(function, (deviation / error) * (deviation / error), 1,
                                 [&](index_t p) { return detail::deviation_of_mean(deviation, p) <= error; });
}

/// The smallest number of prompts, at least 2, for which the two-sided interval of a mean at `confidence` reaches at most
/// `half_width` to either side: `t·deviation/√P <= half_width`, Student's t with P - 1 degrees of freedom. For example 387 for
/// 0.05. Source: Cochran, Sampling Techniques (1977), section 4.4. Errors: as above.
inline index_t prompts_for_half_width(double half_width, double confidence = 0.95,
                                      double deviation = largest_win_rate_deviation) {
  constexpr const char* function = "prompts_for_half_width";
  detail::expects_positive(function, "half_width", half_width);
  detail::expects_inside(function, "confidence", confidence);
  detail::expects_deviation(function, deviation);
  const double ratio = standard_normal_quantile(0.5 * (1 - confidence)) * deviation / half_width;
  return detail::smallest_enough(function, ratio * ratio, 2, [&](index_t p) {
    return detail::two_sided_quantile(confidence, p) * detail::deviation_of_mean(deviation, p) <= half_width;
  });
}

/// A two-sided test of whether a mean difference is 0. Its significance is `1 - confidence`; it detects a true difference with
/// probability `power`.
struct test_design {
  double power = 0.8;
  double confidence = 0.95;
};

/// The probability that the two-sided t-test detects a mean difference of `difference`, given `prompts` paired per-prompt
/// differences that are normal with standard deviation `deviation`: `P(|T| > t)`, where T is Student's t with P - 1 degrees of
/// freedom, shifted by `|difference|·√P/deviation`. It counts the detection of the wrong sign too. At `difference = 0` the power
/// equals the significance.
/// Source: Student's t with a shift (noncentral): Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995),
/// chapter 31. Errors: `domain_error` for fewer than two prompts, or values out of range.
inline double power_of_prompts(index_t prompts, double difference, double deviation, double confidence = 0.95) {
  constexpr const char* function = "power_of_prompts";
  expects<domain_error>(prompts >= 2, function, "prompts is ", prompts, ", must be at least 2");
  expects<domain_error>(difference - difference == 0, function, "difference is ", difference, ", must be finite");
  detail::expects_positive(function, "deviation", deviation);
  detail::expects_inside(function, "confidence", confidence);
  const double shift = std::abs(difference) / detail::deviation_of_mean(deviation, prompts);
  return detail::shifted_t_power(detail::two_sided_quantile(confidence, prompts), shift, static_cast<double>(prompts - 1));
}

/// The smallest number of prompts with which a mean difference of `difference` is detected with the wanted power:
/// `power_of_prompts(P, …) >= design.power`; about `((z_confidence + z_power)·deviation/difference)² + z_confidence²/2`.
/// Source: Chow, Shao, Wang, Sample Size Calculations in Clinical Research (2008), section 3.1. Errors: `domain_error` for
/// values out of range. The power must exceed the significance, which even two prompts have.
inline index_t prompts_for_difference(double difference, double deviation, const test_design& design = {}) {
  constexpr const char* function = "prompts_for_difference";
  expects<domain_error>(difference != 0 && difference - difference == 0, function, "difference is ", difference,
                        ", must be finite and not 0");
  detail::expects_positive(function, "deviation", deviation);
  detail::expects_inside(function, "confidence", design.confidence);
  detail::expects_inside(function, "power", design.power);
  expects<domain_error>(design.power > 1 - design.confidence, function, "power is ", design.power,
                        ", must be more than the significance, ", 1 - design.confidence);
  const double z = standard_normal_quantile(design.power) - standard_normal_quantile(0.5 * (1 - design.confidence));
  const double ratio = z * deviation / difference;
  return detail::smallest_enough(function, z > 0 ? ratio * ratio : 2, 2, [&](index_t p) {
    return power_of_prompts(p, difference, deviation, design.confidence) >= design.power;
  });
}

/// The smallest difference that `prompts` paired differences detect with the wanted power. It solves `power_of_prompts` for the
/// difference by bisection, to the last digits. Errors: `domain_error` as in `prompts_for_difference`, and for fewer than two
/// prompts.
inline double detectable_difference(index_t prompts, double deviation, const test_design& design = {}) {
  constexpr const char* function = "detectable_difference";
  detail::expects_inside(function, "power", design.power);
  detail::expects_inside(function, "confidence", design.confidence);
  expects<domain_error>(prompts >= 2, function, "prompts is ", prompts, ", must be at least 2");
  detail::expects_positive(function, "deviation", deviation);
  expects<domain_error>(design.power > 1 - design.confidence, function, "power is ", design.power,
                        ", must be more than the significance, ", 1 - design.confidence);
  const double unit = detail::deviation_of_mean(deviation, prompts);
  double low = 0;
  double high = unit;
  while (power_of_prompts(prompts, high, deviation, design.confidence) < design.power) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (power_of_prompts(prompts, middle, deviation, design.confidence) < design.power ? low : high) = middle;
  }
  return high;
}

}  // namespace infalign
