// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// Rank m of N: of N samples the m-th smallest is served; m = 1 is the worst and m = N the best of N.
/// `G(q) = P(Bin(N,q) >= m)`, a regularised incomplete beta function.
struct order_statistic {
  static constexpr name_entry naming{"order_statistic:M:N", "order_statistic:2:5",
                                     "the sample of rank M among N, the worst having rank 1"};

  index_t rank;
  index_t n;

  /// Errors: `domain_error` unless `1 <= m <= N <= 2^40`.
  order_statistic(index_t m, index_t samples) : rank(m), n(samples) {
    expects<domain_error>(samples >= 1 && samples <= most_binomial_samples, "order_statistic", "N is ", samples,
                          ", must be in 1 … 2^40");
    expects<domain_error>(m >= 1 && m <= samples, "order_statistic", "rank is ", m, ", must be in 1 … ", samples);
  }
  [[nodiscard]] INFALIGN_HD double distortion(double q) const { return binomial_at_least(n, q, rank); }
  [[nodiscard]] INFALIGN_HD double density(double q) const {
    return static_cast<double>(n) * binomial_probability(n - 1, q, rank - 1);
  }
  /// The share of N-subsets of which at least m lie within `count` of `samples`: a tail of the hypergeometric distribution.
  [[nodiscard]] INFALIGN_HD double from_count(index_t count, index_t samples) const {
    return hypergeometric_at_least(count, samples, n, rank);
  }
  [[nodiscard]] index_t samples_needed() const { return n; }
  /// `max(-G'')`, where G''' = 0: with `a = m-1`, `b = N-m` and `q = (a + √(ab/(a+b-1)))/(a+b)`, where
  /// `-G'' = N·(g_{m:N-1} - g_{m-1:N-1})`.
  [[nodiscard]] double steepest_fall() const {
    const double below = static_cast<double>(rank - 1), above = static_cast<double>(n - rank);
    if (above == 0) return 0;
    if (below == 0) return static_cast<double>(n) * above;
    const double q = (below + std::sqrt(below * above / (below + above - 1))) / (below + above);
    const double at = q < 1 ? q : 1;
    return static_cast<double>(n) * (order_statistic(rank, n - 1).density(at) - order_statistic(rank - 1, n - 1).density(at));
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return "order_statistic:" + std::to_string(rank) + ":" + std::to_string(n);
  }
  static order_statistic read(detail::parameter_reader& in) {
    const index_t m = in.whole("M");
    return {m, in.whole("N")};
  }
};

}  // namespace infalign
