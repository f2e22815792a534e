// SPDX-License-Identifier: Apache-2.0
/// \file
/// Ratios of binomial coefficients, and the binomial and hypergeometric distributions. Nothing overflows or loses digits, for
/// sizes up to 10^6 and beyond.
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

/// `log[binom(c,n)/binom(m,n)]`, for `c - n` and `m - n` of at least 16. By Stirling's formula. Its leading terms, of size
/// `m·log m`, are combined by `log1p` first: the terms that are then subtracted have the size of the result, and few digits
/// cancel.
INFALIGN_HD inline double log_choose_ratio(double c, double m, double n) {
  using std::log;
  using std::log1p;
  const double a = n * log(c / m);
  const double b = (m - n + 0.5) * log1p(-n / m) - (c - n + 0.5) * log1p(-n / c);
  return a + b + (stirling_error(c) - stirling_error(c - n)) - (stirling_error(m) - stirling_error(m - n));
}

}  // namespace detail

/// `binom(c,n) / binom(m,n)` for `0 <= c <= m`, `0 <= n <= m`: the probability that n draws without replacement from m all fall
/// among a given c. 0 for `c < n`. Increases with c.
///
/// A product if that has at most 64 factors, or if `c - n` is too small for Stirling's formula; in log space otherwise.
/// Relative error, of results above 1e-300: below 2e-14 for a product of 64; in log space below 1e-9 at m = 10^6, and
/// proportional to m.
INFALIGN_HD inline double choose_ratio(index_t c, index_t m, index_t n) {
  if (c < n) return 0;
  // The same number is the probability that the m-c values outside c all fall among the m-n not drawn. The shorter product of
  // the two is taken.
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

namespace detail {

/// `stirling_error` for every n >= 1.
INFALIGN_HD inline double stirling_error_of(index_t n) {
  using std::log;
  const auto x = static_cast<double>(n);
  if (n >= 16) return stirling_error(x);
  double factorial = 1;
  for (index_t i = 2; i <= n; ++i) factorial *= static_cast<double>(i);
  return log(factorial) - ((x + 0.5) * log(x) - x + 0.9189385332046727418);
}

/// `k·log(k/mean) + mean - k`, without the cancellation of its terms where k is near the mean.
INFALIGN_HD inline double binomial_deviance(double k, double mean) {
  using std::log1p;
  return k * log1p((k - mean) / mean) - (k - mean);
}

}  // namespace detail

/// `binom(n,k)·q^k·(1-q)^{n-k}`, 0 for `k` outside `0 … n`. A product of at most 20 factors for a binomial coefficient, or else the
/// saddle-point form of Loader, "Fast and accurate computation of binomial probabilities" (2000): relative error about 1e-13
/// where the probability is not tiny.
INFALIGN_HD inline double binomial_probability(index_t n, double q, index_t k) {
  using std::exp;
  using std::pow;
  using std::sqrt;
  if (k < 0 || k > n) return 0;
  if (q <= 0) return k == 0 ? 1 : 0;
  if (q >= 1) return k == n ? 1 : 0;
  const auto size = static_cast<double>(n);
  const auto hits = static_cast<double>(k);
  const index_t factors = k < n - k ? k : n - k;
  if (factors <= 20 && (n <= 1000 || factors == 0)) {
    double choose = 1;
    for (index_t i = 1; i <= factors; ++i) choose *= static_cast<double>(n - factors + i) / static_cast<double>(i);
    return choose * pow(q, hits) * pow(1 - q, size - hits);
  }
  const double exponent = detail::stirling_error_of(n) - detail::stirling_error_of(k) - detail::stirling_error_of(n - k) -
                          detail::binomial_deviance(hits, size * q) - detail::binomial_deviance(size - hits, size * (1 - q));
  return exp(exponent) * sqrt(size / (6.2831853071795864769 * hits * (size - hits)));
}

/// `e^{-mean}·mean^k/k!`, the probability of k under a Poisson distribution, likewise by its saddle-point form.
INFALIGN_HD inline double poisson_probability(double mean, index_t k) {
  using std::exp;
  using std::sqrt;
  if (k < 0) return 0;
  if (mean <= 0) return k == 0 ? 1 : 0;
  if (k == 0) return exp(-mean);
  const auto hits = static_cast<double>(k);
  return exp(-detail::stirling_error_of(k) - detail::binomial_deviance(hits, mean)) / sqrt(6.2831853071795864769 * hits);
}

/// The largest N of a procedure whose distortion is a tail of a binomial distribution.
inline constexpr index_t most_binomial_samples = index_t{1} << 40;

namespace detail {

/// `P(Bin(n,q) >= k)` for large k and n-k, by the density of the order statistic of rank k in the logit of q:
/// `h(y) = n·binom(n-1,k-1)·q^k·(1-q)^{n-k+1}`, integrated from q away from its mode. At the distance d in the logit,
/// `log h` has changed by `k·d - (n+1)·log(1 + q·(e^d - 1))`. The integral over `|d| = c·e^{τ - e^{-τ}}` is a sum over equidistant
/// τ, the double exponential rule for integrands that fall exponentially: about 70 terms, relative error below 1e-12 up to
/// n = 10^6, and of the rounding of `q·n` beyond.
/// Source: Takahasi and Mori, Publications of the RIMS 9 (1974); its use here is derived.
INFALIGN_HD inline double large_binomial_at_least(index_t n, double q, index_t k) {
  using std::exp;
  using std::expm1;
  using std::log1p;
  using std::sqrt;
  const double all = static_cast<double>(n) + 1, rank = static_cast<double>(k);
  const double slope = rank - all * q, spread = q * (1 - q), skew = 1 - 2 * q;
  const bool below_mode = slope >= 0;
  const double scale = 2 / ((below_mode ? slope : -slope) + sqrt(slope * slope + 2 * all * spread));
  // Small d by the cumulants of the Bernoulli distribution, where the two terms of the change would cancel.
  const auto change = [&](double d) {
    if (d > 0.01 || d < -0.01) return rank * d - all * log1p(q * expm1(d));
    const double sixth = 1 - 30 * spread * (1 - 4 * spread);
    const double cubic = skew + d / 4 * (1 - 6 * spread + d / 5 * (skew * (1 - 12 * spread) + d / 6 * sixth));
    return slope * d - all * spread * d * d / 2 * (1 + d / 3 * cubic);
  };
  constexpr double step = 0.1;
  constexpr int most_terms = 120;  // at the last one |d| is 4000 times c
  double sum = 0;
  for (int i = 0; i < most_terms; ++i) {
    const double t = -3.7 + step * i;
    const double distance = scale * exp(t - exp(-t));
    const double log_density = change(below_mode ? -distance : distance);
    if (log_density < -45) break;
    sum += exp(log_density) * distance * (1 + exp(-t));
  }
  const double tail = step * sum * static_cast<double>(n) * spread * binomial_probability(n - 1, q, k - 1);
  return below_mode ? tail : 1 - tail;
}

}  // namespace detail

/// `P(Bin(n,q) >= k)`. The shorter of the two tails is summed, from its largest term on. Where k and n-k are at least 1000, it
/// is an integral instead. At most some hundred terms in either case.
INFALIGN_HD inline double binomial_at_least(index_t n, double q, index_t k) {
  if (k <= 0 || q >= 1) return k <= n ? 1 : 0;
  if (k > n || q <= 0) return 0;
  if (k >= 1000 && n - k >= 1000) return detail::large_binomial_at_least(n, q, k);
  const bool upper = static_cast<double>(k) > static_cast<double>(n) * q;
  double term = binomial_probability(n, q, upper ? k : k - 1);
  double sum = 0;
  for (index_t i = upper ? k : k - 1; term > 1e-17 * sum; i += upper ? 1 : -1) {
    sum += term;
    const double odds = q / (1 - q);
    term *= upper ? static_cast<double>(n - i) / static_cast<double>(i + 1) * odds
                  : static_cast<double>(i) / (static_cast<double>(n - i + 1) * odds);
  }
  return upper ? sum : 1 - sum;
}

/// The probability that of n drawn without replacement from m, exactly k fall among a given c:
/// `binom(c,k)·binom(m-c,n-k)/binom(m,n)`, as a quotient of binomial probabilities with `q = n/m`.
INFALIGN_HD inline double hypergeometric_probability(index_t c, index_t m, index_t n, index_t k) {
  if (k < 0 || k > c || n - k < 0 || n - k > m - c) return 0;
  const double q = static_cast<double>(n) / static_cast<double>(m);
  return binomial_probability(c, q, k) * binomial_probability(m - c, q, n - k) / binomial_probability(m, q, n);
}

/// The probability that of n drawn without replacement from m, at least k fall among a given c.
INFALIGN_HD inline double hypergeometric_at_least(index_t c, index_t m, index_t n, index_t k) {
  const index_t least = n - (m - c) > 0 ? n - (m - c) : 0;
  const index_t most = n < c ? n : c;
  if (k <= least) return 1;
  if (k > most) return 0;
  const bool upper = static_cast<double>(k) > static_cast<double>(n) * static_cast<double>(c) / static_cast<double>(m);
  double term = hypergeometric_probability(c, m, n, upper ? k : k - 1);
  double sum = 0;
  for (index_t i = upper ? k : k - 1; term > 1e-17 * sum; i += upper ? 1 : -1) {
    sum += term;
    const auto at = static_cast<double>(i);
    const double up = (static_cast<double>(c) - at) * (static_cast<double>(n) - at);
    const double down = at * (static_cast<double>(m - c - n) + at);
    term *= upper ? up / ((at + 1) * (static_cast<double>(m - c - n) + at + 1))
                  : down / (up + static_cast<double>(c + n + 1) - 2 * at);
  }
  return upper ? sum : 1 - sum;
}

}  // namespace infalign
