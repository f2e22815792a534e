// SPDX-License-Identifier: Apache-2.0
/// \file
/// The standard normal distribution.
#pragma once

#include <cmath>

#include "infalign/core/math.hpp"

namespace infalign {

namespace detail {

template <class V>
INFALIGN_HD V normal_centre(V r) {
  return polynomial(r, 2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
                    1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0) /
         polynomial(r, 5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
                    5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0);
}

template <class V>
INFALIGN_HD V normal_middle(V r) {
  return polynomial(r, 7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
                    1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0,
                    1.42343711074968357734e0) /
         polynomial(r, 1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
                    1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0,
                    1.0);
}

template <class V>
INFALIGN_HD V normal_extreme(V r) {
  return polynomial(r, 2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
                    2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0,
                    6.65790464350110377720e0) /
         polynomial(r, 2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
                    7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1,
                    1.0);
}

}  // namespace detail

/// `N⁻¹(u)`: -inf at 0, +inf at 1, 0 at ½; NaN for NaN. Of a number or a SIMD batch; relative error below `10·ε`, where `ε`
/// is 2⁻⁵³ for `double` and 2⁻²⁴ for `float` (tests/transform/accuracy_test.cpp).
/// Source: Wichura, Algorithm AS 241, Applied Statistics 37 (1988), routine PPND16.
template <class V>
INFALIGN_HD V standard_normal_quantile(V u) {
  using std::sqrt;
  const V q = u - constant<V>(0.5);
  const V tail = select(q < constant<V>(0), u, constant<V>(1) - u);
  // A batch computes both formulas for all lanes. Where the central one is used, the other gets an argument that it is defined
  // for.
  const auto central = q * q <= constant<V>(0.180625);
  const V r = sqrt(-detail::natural_log(V(select(central, constant<V>(0.5), tail))));
  const V far =
      select(r <= constant<V>(5), detail::normal_middle(r - constant<V>(1.6)), detail::normal_extreme(r - constant<V>(5)));
  const V signed_far = select(q < constant<V>(0), -far, far);
  const V value = select(central, q * detail::normal_centre(constant<V>(0.180625) - q * q), signed_far);
  const V limit = select(q < constant<V>(0), constant<V>(-infinity<double>), constant<V>(infinity<double>));
  return select(tail <= constant<V>(0), limit, value);
}

}  // namespace infalign
