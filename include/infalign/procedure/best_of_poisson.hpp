// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// Best of `N = 1 + Poisson(mean)` samples: `G(q) = q·e^{mean·(q-1)}`. Its size is unbounded, so no number of samples gives an
/// unbiased estimate of `G(F)`: it has no `from_count`, and empirical work plugs the counted share in.
struct best_of_poisson {
  static constexpr name_entry naming{"best_of_poisson:MEAN", "best_of_poisson:3", "the best of 1 + Poisson(MEAN) samples"};

  double mean;

  /// Errors: `domain_error` for a mean that is negative or not finite, or above 1e9 (see `most_served_samples`).
  explicit best_of_poisson(double mean_of_further) : mean(mean_of_further) {
    expects<domain_error>(mean >= 0 && mean - mean == 0, "best_of_poisson", "mean is ", mean,
                          ", must be finite and not negative");
    expects<domain_error>(mean <= 1e9, "best_of_poisson", "mean is ", mean, ", must be at most 1e9");
  }
  [[nodiscard]] INFALIGN_HD double distortion(double q) const {
    using std::exp;
    return q * exp(mean * (q - 1));
  }
  [[nodiscard]] INFALIGN_HD double density(double q) const {
    using std::exp;
    return (1 + mean * q) * exp(mean * (q - 1));
  }
  /// `max(-G'')`: G is convex.
  [[nodiscard]] double steepest_fall() const { return 0; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "best_of_poisson:" + detail::format_parameter(mean); }
  static best_of_poisson read(detail::parameter_reader& in) { return best_of_poisson(in.real("MEAN")); }
};

}  // namespace infalign
