// SPDX-License-Identifier: Apache-2.0
/// \file
/// A number with its standard error.
#pragma once

#include <cmath>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/normal_distribution.hpp"

namespace infalign {

struct confidence_interval {
  double low;
  double high;
};

/// The mean of `count` independent values, and the standard error of that mean.
struct estimate {
  double value = 0;
  double standard_error = 0;
  index_t count = 0;

  /// Two-sided normal interval at `level`, for example 0.95: `value ± z·standard_error`. Of no use for a handful of values.
  [[nodiscard]] confidence_interval interval(double level = 0.95) const {
    expects<domain_error>(level > 0 && level < 1, "estimate::interval", "level is ", level, ", must be in (0, 1)");
    const double half_width = standard_normal_quantile(0.5 * (1 + level)) * standard_error;
    return {value - half_width, value + half_width};
  }
};

}  // namespace infalign
