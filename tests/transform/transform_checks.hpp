// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every transform must satisfy.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <infalign/infalign.hpp>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace infalign::test {

/// On 0.02, 0.03 … 0.98 the transform does not decrease and its derivative is its slope; away from `kinks`, if it has any.
template <class Transform>
void check_slope(const Transform& transform, const std::vector<double>& kinks = {}) {
  const double h = 1e-6;
  for (int i = 2; i <= 98; ++i) {
    const double u = i / 100.0;
    if (std::any_of(kinks.begin(), kinks.end(), [&](double kink) { return std::abs(u - kink) < 0.005; })) continue;
    CAPTURE(u);
    const double slope = (transform(u + h) - transform(u - h)) / (2 * h);
    CHECK(transform.derivative(u) == doctest::Approx(slope).epsilon(1e-7));
    CHECK(transform(u + 0.01) >= transform(u));
  }
}

/// A SIMD batch gives what single values give, ends included, up to the rounding of the vector functions.
template <class T, class Transform>
void check_lanes(const Transform& transform) {
  using batch = xsimd::batch<T>;
  constexpr std::size_t n = 4 * batch::size;
  T u[n], value[n], slope[n];
  for (std::size_t i = 0; i < n; ++i) u[i] = static_cast<T>(i) / static_cast<T>(n - 1);
  for (std::size_t i = 0; i < n; i += batch::size) {
    transform(batch::load_unaligned(u + i)).store_unaligned(value + i);
    transform.derivative(batch::load_unaligned(u + i)).store_unaligned(slope + i);
  }
  // A rounded argument of exp shows in the result as often as the exponent is large.
  const double tolerance = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
  const auto same = [&](T lane, double single) {
    if (!std::isfinite(single)) return static_cast<double>(lane) == single;
    return std::abs(static_cast<double>(lane) - single) <= tolerance * (1 + std::abs(single));
  };
  for (std::size_t i = 0; i < n; ++i) {
    CAPTURE(u[i]);
    CHECK(same(value[i], static_cast<double>(transform(static_cast<double>(u[i])))));
    CHECK(same(slope[i], static_cast<double>(transform.derivative(static_cast<double>(u[i])))));
  }
}

template <class Transform>
void check_transform(const Transform& transform, const std::string& name, const std::vector<double>& kinks = {}) {
  static_assert(transform_function<Transform>);
  CHECK(transform.name() == name);
  CHECK(std::string(Transform::citation).size() > 10);
  check_slope(transform, kinks);
  check_lanes<float>(transform);
  check_lanes<double>(transform);
}

}  // namespace infalign::test
