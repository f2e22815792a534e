// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"
#include "infalign/core/normal_distribution.hpp"

namespace infalign {

/// `Φ(u) = N⁻¹(u)`, the standard normal quantile: calibrated rewards become standard normal under the base policy, and
/// `log Z = 1/(2β²)`. `Φ(0) = -inf`, `Φ(1) = +inf` (see `clamped`), `Φ(½) = 0`.
/// Error: `10·ε`; of Φ' `10·(1 + Φ²)·ε`.
struct normal_quantile {
  static constexpr const char* citation = "Wichura, Algorithm AS 241, Applied Statistics 37 (1988), routine PPND16";
  static constexpr name_entry naming{"normal_quantile", "normal_quantile", "Φ(u) = the standard normal quantile of u"};

  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return standard_normal_quantile(u);
  }
  /// `1/φ(N⁻¹(u)) = √(2π)·exp(N⁻¹(u)²/2)`: +inf at 0 and 1.
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    const V x = (*this)(u);
    return constant<V>(2.5066282746310005024) * detail::natural_exp(constant<V>(0.5) * x * x);
  }
  /// The same, by the symmetry of the normal distribution.
  [[nodiscard]] INFALIGN_KEYED double derivative_near_one(double rest) const { return derivative(rest); }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "normal_quantile"; }
  static normal_quantile read(detail::parameter_reader&) { return {}; }
};

}  // namespace infalign
