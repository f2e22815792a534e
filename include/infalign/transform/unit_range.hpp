// SPDX-License-Identifier: Apache-2.0
/// \file
/// A transform scaled to a range of 1, and the KL weight that goes with it. Rewards between 0 and 1 are what trainers expect, and
/// their KL weights can be compared.
#pragma once

#include <limits>
#include <string_view>
#include <utility>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// `Φ(1) - Φ(0)`: by how much the best response is worth more than the worst. 22,025.5 for `exponential(10)`, infinite for
/// `logarithm()` and other unbounded transforms. Rounding is that of the two values.
template <transform_function F>
[[nodiscard]] INFALIGN_KEYED double value_range(const F& transform) {
  return static_cast<double>(transform(1.0)) - static_cast<double>(transform(0.0));
}

namespace detail {
template <class F>
INFALIGN_KEYED double finite_range(std::string_view function, const F& transform) {
  const double range = value_range(transform);
  // 1/range must be finite too.
  expects<domain_error>(range >= std::numeric_limits<double>::min() && range < infinity<double>, function, transform.name(),
                        " has a range of ", range, ", must be positive and finite: clamp it");
  return range;
}
}  // namespace detail

/// `Φ(u)/(Φ(1) - Φ(0))`: the same transform with a range of 1. It goes with `scaled_beta`.
///
/// \code
/// const infalign::exponential phi(10);                                              // 1 … 22,026
/// const infalign::kl_weight beta = infalign::scaled_beta(phi, infalign::kl_weight(5315.25));  // 0.2413
/// infalign::calibrate_transform(on, z, y, infalign::unit_range(phi), rewards);      // and β in the trainer
/// \endcode
///
/// Errors: `domain_error` for an unbounded transform (clamp it) or one that is constant.
template <transform_function F>
[[nodiscard]] scaled<F> unit_range(F transform) {
  const double range = detail::finite_range("unit_range", transform);
  return scaled<F>(std::move(transform), 1 / range);
}

/// `β/(Φ(1) - Φ(0))`: the KL weight with which `unit_range(transform)` has the same optimal policy as `transform` has with β.
/// Errors: `domain_error` for an unbounded transform or one that is constant.
template <transform_function F>
[[nodiscard]] INFALIGN_KEYED kl_weight scaled_beta(const F& transform, kl_weight beta) {
  return kl_weight(beta.value / detail::finite_range("scaled_beta", transform));
}

}  // namespace infalign
