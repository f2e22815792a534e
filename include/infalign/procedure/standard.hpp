// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "infalign/core/config.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// One sample, served as it is: `G(q) = q`.
struct standard {
  static constexpr name_entry naming{"standard", "standard", "one sample, served as it is"};

  [[nodiscard]] INFALIGN_HD double distortion(double q) const { return q; }
  [[nodiscard]] INFALIGN_HD double density(double) const { return 1; }
  [[nodiscard]] INFALIGN_HD double from_count(index_t count, index_t samples) const {
    return static_cast<double>(count) / static_cast<double>(samples);
  }
  /// `max(-G'')`: G is convex.
  [[nodiscard]] double steepest_fall() const { return 0; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "standard"; }
  static standard read(detail::parameter_reader&) { return {}; }
};

}  // namespace infalign
