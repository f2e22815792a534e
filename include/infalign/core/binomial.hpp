// SPDX-License-Identifier: Apache-2.0
/// \file
/// Ratios of binomial coefficients that neither overflow nor lose digits, for sizes up to 10^6 and beyond.
#pragma once

#include <cmath>

#include "infalign/core/config.hpp"

namespace infalign {

namespace detail {

/// `log n! - [(n + ½)·log n - n + ½·log 2π]`, the error of Stirling's formula, for n >= 16 by its asymptotic series.
INFALIGN_HD inline double stirling_error(double n) {
  const double square = 1 / (n * n);
  return (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square / 1680))) / n;
}

/// `log[binom(c,n)/binom(m,n)]` with all of `c - n`, `m - n` at least 16. Stirling's formula with its leading terms combined by
/// `log1p`, so that what is subtracted has the size of the result's logarithm and not of `m·log m`.
INFALIGN_HD inline double log_choose_ratio(double c, double m, double n) {
  using std::log;
  using std::log1p;
  const double a = n * log(c / m);
  const double b = (m - n + 0.5) * log1p(-n / m) - (c - n + 0.5) * log1p(-n / c);
  return a + b + (stirling_error(c) - stirling_error(c - n)) - (stirling_error(m) - stirling_error(m - n));
}

}  // namespace detail

/// `binom(c,n) / binom(m,n)` for `0 <= c <= m`, `0 <= n <= m`: the probability that n draws without replacement from m all fall
/// among a given c. 0 for `c < n`. A product where at most 64 factors are enough, or where `c - n` is too small for Stirling's
/// formula; otherwise in log space. Relative error of results above 1e-300: below 2e-14 for the product of 64, and in log space
/// below 1e-9 at m = 10^6, growing as m. Increases with c.
INFALIGN_HD inline double choose_ratio(index_t c, index_t m, index_t n) {
  if (c < n) return 0;
  // Choosing n among c, or the m-c others among the m-n not chosen: the same number by the shorter product.
  const index_t factors = n < m - c ? n : m - c;
  const index_t removed = n < m - c ? m - c : n;
  if (factors > 64 && c - n >= 16) {
    using std::exp;
    return exp(detail::log_choose_ratio(static_cast<double>(c), static_cast<double>(m), static_cast<double>(n)));
  }
  double ratio = 1;
  for (index_t k = 0; k < factors; ++k) ratio *= static_cast<double>(m - removed - k) / static_cast<double>(m - k);
  return ratio;
}

}  // namespace infalign
