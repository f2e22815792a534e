// SPDX-License-Identifier: Apache-2.0
/// \file
/// Mean and variance of values that come one by one or in parts: what each part keeps, and how parts are put together.
///
/// \code
/// infalign::summary first, second;           // of two files, threads or machines
/// for (const double w : wins_of_first) first.add(w);
/// for (const double w : wins_of_second) second.add(w);
/// first.merge(second);
/// const infalign::estimate win_rate = infalign::estimate_of(first, infalign::win_rate_range);
/// \endcode
#pragma once

#include <cmath>
#include <limits>

#include "infalign/core/config.hpp"
#include "infalign/core/math.hpp"
#include "infalign/statistics/estimate.hpp"

namespace infalign {

/// `count = n`, `mean = Σx/n` and `m2 = Σ(x - mean)²` of n values. Never a sum of squares, which would lose all digits of the
/// variance where the mean is large. The default is the summary of no values.
///
/// - Memory: 24 bytes, trivially copyable: it may be sent, stored, or written by a kernel.
/// - Cost: a few operations and one division a value, likewise a merge.
/// - Rounding: the relative error of the variance is at most about `n·κ·ε` with `κ² = 1 + mean²/variance` and `ε = 2⁻⁵³`, and
///   about `log₂(n)·κ·ε` for a balanced tree of merges. In another order of the values the last digits differ.
/// - NaN in, NaN out: mean and m2 stay NaN. An infinite value makes m2 NaN.
/// - Source: Welford, Technometrics 4 (1962); Chan, Golub and LeVeque, The American Statistician 37 (1983), eq. 2.1.
struct summary {
  index_t count = 0;
  double mean = 0;
  double m2 = 0;

  /// One more value.
  INFALIGN_HD constexpr void add(double x) {
    ++count;
    const double deviation = x - mean;
    mean += deviation / static_cast<double>(count);
    m2 += deviation * (x - mean);
  }
  /// All values of another summary as well. Associative and commutative up to rounding; an empty summary changes nothing.
  INFALIGN_HD constexpr void merge(const summary& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const double deviation = other.mean - mean;
    const auto before = static_cast<double>(count);
    count += other.count;
    const double share = static_cast<double>(other.count) / static_cast<double>(count);
    mean += deviation * share;
    m2 += other.m2 + deviation * deviation * (before * share);
  }
};

/// The mean with its standard error `√(m2/(n-1)/n)` (Bessel's correction), for a quantity in `range`. One value has standard
/// error +inf. No values have the mean NaN and standard error +inf.
INFALIGN_HD inline estimate estimate_of(const summary& of, quantity_range range = {}) {
  using std::sqrt;
  const auto n = static_cast<double>(of.count);
  const double mean = of.count > 0 ? of.mean : std::numeric_limits<double>::quiet_NaN();
  const double standard_error = of.count > 1 ? sqrt(of.m2 / (n - 1) / n) : infinity<double>;
  return {mean, standard_error, of.count, range.lowest, range.highest};
}

}  // namespace infalign
