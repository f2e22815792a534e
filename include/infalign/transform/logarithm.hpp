// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "infalign/core/config.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// `Φ(u) = log u`. With KL weight `β = 1/(n-1)` the optimal policy is exactly the best-of-n policy of the base.
/// `Φ(0) = -inf` (use `clamped` with a bound of `1/(2K)` for calibrated rewards from K references), `Φ(1) = 0`.
/// Error: `2·ε`, also next to 1; of Φ' `ε`.
struct logarithm {
  static constexpr const char* citation = "Balashankar et al., InfAlign, ICML 2025 (arXiv 2412.19792)";
  static constexpr name_entry naming{"logarithm", "logarithm", "Φ(u) = log u: with beta = 1/(n-1) the policy is best-of-n"};

  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return detail::natural_log(u);
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return V(1) / u;
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "logarithm"; }
  static logarithm read(detail::parameter_reader&) { return {}; }
};

}  // namespace infalign
