// SPDX-License-Identifier: Apache-2.0
/// \file
/// A number with its standard error.
#pragma once

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/normal_distribution.hpp"

namespace infalign {

/// All values from `low` to `high`.
struct confidence_interval {
  double low;
  double high;
};

/// The bounds of a quantity: `lowest <= quantity <= highest`. They follow from what the quantity is, a win rate for example,
/// and not from values. Single values may lie outside: those of a bias correction do.
struct quantity_range {
  double lowest = -infinity<double>;
  double highest = infinity<double>;
};
inline constexpr quantity_range win_rate_range{0, 1};
inline constexpr quantity_range win_rate_difference_range{-1, 1};
inline constexpr quantity_range not_negative_range{0, infinity<double>};

/// The mean of `count` independent values, the standard error of that mean, and the range of what it estimates. The range does
/// not change `value`, which may lie outside by the error of the estimate.
struct estimate {
  double value = 0;
  double standard_error = 0;
  index_t count = 0;
  double lowest = -infinity<double>;
  double highest = infinity<double>;

  /// Two-sided normal interval at `level`, for example 0.95: `value ± z·standard_error`. It needs many values: for
  /// a handful it is too short. Not cut to the range. Errors: `domain_error` unless `level` is in (0, 1).
  [[nodiscard]] INFALIGN_KEYED confidence_interval interval(double level = 0.95) const {
    expects<domain_error>(level > 0 && level < 1, "estimate::interval", "level is ", level, ", must be in (0, 1)");
    const double half_width = standard_normal_quantile(0.5 * (1 + level)) * standard_error;
    return {value - half_width, value + half_width};
  }
};

}  // namespace infalign
