// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "infalign/core/config.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// `Φ(u) = u`: calibration alone, optimal for the standard win rate. `Φ(0) = 0`, `Φ(1) = 1`. Exact.
struct identity {
  static constexpr const char* citation = "Balashankar et al., InfAlign, ICML 2025 (arXiv 2412.19792)";
  static constexpr name_entry naming{"identity", "identity",
                                     "Φ(u) = u: calibration alone; the optimum for the standard win rate"};

  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return u;
  }
  template <class V>
  INFALIGN_HD V derivative(V) const {
    return V(1);
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "identity"; }
  static identity read(detail::parameter_reader&) { return {}; }
};

}  // namespace infalign
