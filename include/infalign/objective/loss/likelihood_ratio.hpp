// SPDX-License-Identifier: Apache-2.0
/// \file
/// The ratio `ρ = π/π_old` of a token or a response, from its logarithm, and arithmetic that stays finite.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>

#include "infalign/core/math.hpp"
#include "infalign/objective/loss/token_loss.hpp"

namespace infalign {

/// The size above which losses and their derivatives are cut: as long as what is known of a token is finite, its loss and its
/// derivatives are numbers of at most this size. It is the largest power of two that `float` and `bfloat16` hold, so that gradients
/// can be stored. Log-ratios of 88 and more reach it.
inline constexpr double largest_loss = 0x1p127;

/// A range to which a log-ratio is clamped. Outside it the derivative is 0, as that of `torch.clamp`. verl and OpenRLHF clamp to
/// `{-20, 20}`, TRL and Liger do not.
struct log_ratio_range {
  double low = -infinity<double>;
  double high = infinity<double>;
};

namespace detail {

INFALIGN_KEYED inline void check_range(std::string_view function, const log_ratio_range& range) {
  expects<domain_error>(range.low <= 0, function, "log_ratio.low is ", range.low, ", must be at most 0");
  expects<domain_error>(range.high >= 0, function, "log_ratio.high is ", range.high, ", must be at least 0");
}

/// `x` in [low, high]; NaN stays.
INFALIGN_HD inline double clip(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

/// `e^x`, for a finite `x` at most the largest number.
INFALIGN_HD inline double capped_exp(double x) {
  using std::exp;
  constexpr double largest = std::numeric_limits<double>::max();
  const double e = exp(x);
  return e > largest && x < infinity<double> ? largest : e;
}

/// `a·x`, of at most `largest_loss` in size if `x` is finite; 0 where `a` is.
INFALIGN_HD inline double capped_product(double a, double x) {
  const double y = product(a, x);
  return not_finite(x) ? y : clip(y, -largest_loss, largest_loss);
}

/// `a + b`, cut likewise if both are finite.
INFALIGN_HD inline double capped_sum(double a, double b) {
  const double y = a + b;
  return not_finite(a) || not_finite(b) ? y : clip(y, -largest_loss, largest_loss);
}

/// A ratio and its derivative by the log-ratio.
struct likelihood_ratio {
  double value;
  double slope;

  INFALIGN_HD likelihood_ratio(double log_ratio, const log_ratio_range& range)
      : value(capped_exp(clip(log_ratio, range.low, range.high))),
        slope(log_ratio < range.low || log_ratio > range.high ? 0.0 : value) {}
};

}  // namespace detail

}  // namespace infalign
