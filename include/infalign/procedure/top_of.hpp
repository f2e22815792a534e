// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// Top m of N: of N samples one of the m best is served, each with probability 1/m; m = 1 is best-of-N, m = N plain sampling.
/// `G` is the mean of those of the ranks N-m+1 … N: with `Y ~ Bin(N, 1-q)` samples above,
/// `G(q) = E[max(0, m - Y)]/m = P(Y < m) - (N(1-q)/m)·P(Bin(N-1, 1-q) < m-1)`.
struct top_of {
  static constexpr name_entry naming{"top_of:M:N", "top_of:2:8", "one of the M best of N samples, each as likely"};

  index_t top;
  index_t n;

  /// Errors: `domain_error` unless `1 <= m <= N <= 2^40`.
  top_of(index_t m, index_t samples) : top(m), n(samples) {
    expects<domain_error>(samples >= 1 && samples <= most_binomial_samples, "top_of", "N is ", samples,
                          ", must be in 1 … 2^40");
    expects<domain_error>(m >= 1 && m <= samples, "top_of", "m is ", m, ", must be in 1 … ", samples);
  }
  [[nodiscard]] INFALIGN_HD double distortion(double q) const {
    const double above = static_cast<double>(n) * (1 - q) / static_cast<double>(top);
    return binomial_at_least(n, q, n - top + 1) - above * binomial_at_least(n - 1, q, n - top + 1);
  }
  [[nodiscard]] INFALIGN_HD double density(double q) const {
    return static_cast<double>(n) / static_cast<double>(top) * binomial_at_least(n - 1, q, n - top);
  }
  /// The same with the hypergeometric distribution of N-subsets of `samples`, `count` of which are at or below.
  [[nodiscard]] INFALIGN_HD double from_count(index_t count, index_t samples) const {
    const double share = static_cast<double>(samples - count) / static_cast<double>(samples);
    const double above = static_cast<double>(n) * share / static_cast<double>(top);
    const double all = hypergeometric_at_least(count, samples, n, n - top + 1);
    return above == 0 ? all : all - above * hypergeometric_at_least(count, samples - 1, n - 1, n - top + 1);
  }
  [[nodiscard]] index_t samples_needed() const { return n; }
  /// `max(-G'')`: G is convex.
  [[nodiscard]] double steepest_fall() const { return 0; }
  [[nodiscard]] long density_cost() const { return n > 2000 ? 40 : 6; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "top_of:" + std::to_string(top) + ":" + std::to_string(n); }
  static top_of read(detail::parameter_reader& in) {
    const index_t m = in.whole("M");
    return {m, in.whole("N")};
  }
};

}  // namespace infalign
