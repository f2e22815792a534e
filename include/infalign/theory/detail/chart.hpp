// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/transform/normal_quantile.hpp"

namespace infalign::detail {

/// A point of [0, 1], with `du/dx` in the coordinate x of a chart.
struct place {
  double u;
  double width;
};

/// A coordinate x of [0, 1] in which a density varies on a scale of about one, so that polynomials resolve it. The `logit` of u
/// suits powers and logarithms at an end, and thin layers there, however thin. The `normal` quantile of u suits what comes from
/// a normal distribution. `distance` is `u - 1` itself.
struct chart {
  enum class kind { logit, normal, distance };
  kind of_kind = kind::logit;

  [[nodiscard]] place at(double x) const {
    if (of_kind == kind::distance) return {1 + x, 1};
    if (of_kind == kind::normal)
      return {0.5 * std::erfc(-0.70710678118654752440 * x), 0.39894228040143267794 * std::exp(-0.5 * x * x)};
    const double small = std::exp(-std::abs(x));
    const double near = 1 / (1 + small);
    const double far = small * near;
    return {x < 0 ? far : near, far * near};
  }
  [[nodiscard]] double of(double u) const {
    if (of_kind == kind::distance) return u - 1;
    return of_kind == kind::normal ? normal_quantile()(u) : std::log(u / (1 - u));
  }
};

}  // namespace infalign::detail
