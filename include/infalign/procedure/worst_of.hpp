// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// Worst-of-N: of N samples the one of lowest reward counts. It is best-of-N jailbreaking seen from the defender, and the
/// mirror of `best_of`: `G(q) = 1 - (1-q)^N`.
struct worst_of {
  static constexpr name_entry naming{"worst_of:N", "worst_of:4", "the worst of N samples, as under best-of-N jailbreaking"};

  index_t n;

  /// Errors: `domain_error` for N < 1.
  explicit worst_of(index_t samples) : n(samples) {
    expects<domain_error>(samples >= 1, "worst_of", "N is ", samples, ", must be at least 1");
  }
  [[nodiscard]] INFALIGN_HD double distortion(double q) const {
    using std::expm1;
    using std::log1p;
    return -expm1(static_cast<double>(n) * log1p(-q));
  }
  [[nodiscard]] INFALIGN_HD double density(double q) const {
    using std::pow;
    return static_cast<double>(n) * pow(1 - q, static_cast<double>(n - 1));
  }
  /// One minus the share of N-subsets that lie wholly above: `1 - binom(samples-count,N)/binom(samples,N)`.
  [[nodiscard]] INFALIGN_HD double from_count(index_t count, index_t samples) const {
    return 1 - choose_ratio(samples - count, samples, n);
  }
  [[nodiscard]] index_t samples_needed() const { return n; }
  /// `max(-G'') = N(N-1)`, at 0.
  [[nodiscard]] double steepest_fall() const { return static_cast<double>(n) * static_cast<double>(n - 1); }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "worst_of:" + std::to_string(n); }
  static worst_of read(detail::parameter_reader& in) { return worst_of(in.whole("N")); }
};

}  // namespace infalign
