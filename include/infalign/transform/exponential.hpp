// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// `Φ(u) = sign(t)·e^{t·u}`, increasing for every `t ≠ 0`: `t > 0` for best-of-N, `t < 0` for worst-of-N (jailbreaking). Customary:
/// ±5, ±10. `Φ(0) = sign(t)`, `Φ(1) = sign(t)·e^t`. The scale grows as `e^t`: for `t > 0` a comparable KL weight grows with it, or
/// write `scaled(exponential(t), std::exp(-t))`, which is `e^{t(u-1)}`. Error of Φ and Φ': `3·(1 + |t|·u)·ε`.
struct exponential {
  static constexpr const char* citation = "Balashankar et al., InfAlign, ICML 2025 (arXiv 2412.19792)";
  static constexpr name_entry naming{"exponential:T", "exponential:10",
                                     "Φ(u) = sign(T)·e^(T·u): T > 0 for best-of-N, T < 0 for worst-of-N"};

  /// Errors: `domain_error` unless `0 < |t| <= 700`, so that `e^t` and its multiples stay finite and normal.
  explicit exponential(double exponent) : t(exponent) {
    expects<domain_error>(t != 0 && t >= -700 && t <= 700, "exponential", "t is ", t, ", must be in [-700, 700] and not 0");
  }

  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return constant<V>(t > 0 ? 1 : -1) * detail::natural_exp(constant<V>(t) * u);
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return constant<V>(t > 0 ? t : -t) * detail::natural_exp(constant<V>(t) * u);
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "exponential:" + detail::format_parameter(t); }
  static exponential read(detail::parameter_reader& in) { return exponential(in.real("T")); }

  double t;
};

}  // namespace infalign
