// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// Best-of-N: draw N samples, serve the one of highest reward. `G(q) = q^N`.
struct best_of {
  static constexpr name_entry naming{"best_of:N", "best_of:4", "the best of N samples"};

  index_t n;

  /// Errors: `domain_error` for N < 1.
  explicit best_of(index_t samples) : n(samples) {
    expects<domain_error>(samples >= 1, "best_of", "N is ", samples, ", must be at least 1");
  }
  [[nodiscard]] INFALIGN_HD double distortion(double q) const {
    using std::pow;
    return pow(q, static_cast<double>(n));
  }
  [[nodiscard]] INFALIGN_HD double density(double q) const {
    using std::pow;
    return static_cast<double>(n) * pow(q, static_cast<double>(n - 1));
  }
  /// The share of N-subsets that lie within `count` of `samples`: `binom(count,N)/binom(samples,N)`.
  [[nodiscard]] INFALIGN_HD double from_count(index_t count, index_t samples) const { return choose_ratio(count, samples, n); }
  [[nodiscard]] index_t samples_needed() const { return n; }
  /// `max(-G'')`: G is convex.
  [[nodiscard]] double steepest_fall() const { return 0; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "best_of:" + std::to_string(n); }
  static best_of read(detail::parameter_reader& in) { return best_of(in.whole("N")); }
};

}  // namespace infalign
