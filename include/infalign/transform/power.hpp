// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// `Φ(u) = u^p`, `p > 0`. `Φ(0) = 0`, `Φ(1) = 1`; the derivative at 0 is 0 for `p > 1`, 1 for `p = 1`, +inf for `p < 1`.
/// Error: `3·(1 + p·|log u|)·ε`; of Φ' `3·(1 + |p - 1|·|log u|)·ε`.
struct power {
  static constexpr const char* citation = "Balashankar et al., InfAlign, ICML 2025 (arXiv 2412.19792)";
  static constexpr name_entry naming{"power:P", "power:2", "Φ(u) = u^P, P > 0"};

  explicit power(double p) : exponent(p) {
    expects<domain_error>(p > 0 && p < infinity<double>, "power", "exponent is ", p, ", must be positive and finite");
  }

  /// By `exp(p·log u)`, with 0 apart: an approximation of `pow` on a SIMD batch need not be right there.
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return raised(u, exponent, constant<V>(0));
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    const double at_zero = exponent > 1 ? 0.0 : exponent == 1 ? 1.0 : infinity<double>;
    return constant<V>(exponent) * raised(u, exponent - 1, constant<V>(at_zero));
  }
  [[nodiscard]] INFALIGN_KEYED double derivative_near_one(double rest) const {
    return exponent * std::exp((exponent - 1) * std::log1p(-rest));
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "power:" + detail::format_parameter(exponent); }
  static power read(detail::parameter_reader& in) { return power(in.real("P")); }

  double exponent;

 private:
  template <class V>
  INFALIGN_HD static V raised(V u, double p, V at_zero) {
    const auto positive = u > constant<V>(0);
    return select(positive,
                  V(detail::natural_exp(constant<V>(p) * detail::natural_log(V(select(positive, u, constant<V>(1)))))),
                  at_zero);
  }
};

}  // namespace infalign
