// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is done to logits before the softmax: a soft cap, and a temperature.
#pragma once

#include <cmath>
#include <string_view>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

/// The softmax is that of `scale·cap·tanh(l/cap)` for the logits `l` in memory; without a cap, of `scale·l`. Gradients are those with
/// respect to `l`. A logit of -inf stays masked, and one of +inf or NaN stays what it is.
struct logit_map {
  double scale = 1;               ///< the inverse of the temperature
  double cap = infinity<double>;  ///< infinite: none
  /// A logit of the policy in memory that lies below is masked, in both policies. -inf: none is.
  double floor = -infinity<double>;
  [[nodiscard]] INFALIGN_HD bool is_identity() const {
    return scale == 1 && !(cap < infinity<double>)&&!(floor > -infinity<double>);
  }
};

namespace detail {

/// `cap·tanh(l/cap)` for scalars or batches, as exact as their `exp`, and its derivative.
///
/// Below 1/2 the hyperbolic tangent is Lambert's continued fraction to its seventh term, whose error there is 2e-16. Above it is
/// `(1 - e)/(1 + e)` with `e = exp(-2|l/cap|)`, which cancels no more. Without a cap, and where it is known that there is none, nothing
/// is done.
template <bool Mapped, class V>
class soft_cap {
 public:
  INFALIGN_HD explicit soft_cap(double cap)
      : capped_(cap < infinity<double>), cap_(constant<V>(capped_ ? cap : 1)), inverse_(constant<V>(capped_ ? 1 / cap : 1)) {}

  INFALIGN_HD V operator()(V l) const {
    if constexpr (Mapped)
      return capped_ ? value(l) : l;
    else
      return l;
  }
  /// `gradient·(1 - tanh²(l/cap))`, and 0 for a masked logit.
  INFALIGN_HD V times_slope(V gradient, V l) const {
    if (!Mapped || !capped_) return gradient;
    const V e = natural_exp_bounded(V(V(-2) * size(l)));
    const V slope = V(4) * e / ((V(1) + e) * (V(1) + e));
    return gradient * slope;
  }

 private:
  [[nodiscard]] INFALIGN_HD V size(V l) const {
    const V x = l * inverse_;
    return max(x, V(-x));
  }
  [[nodiscard]] INFALIGN_HD V value(V l) const {
    const V x = l * inverse_, absolute = size(l), squared = x * x;
    const V e = natural_exp_bounded(V(V(-2) * absolute));
    const auto is_small = absolute < V(0.5);
    const V one = select(x < V(0), V(-1), V(1));
    const V above = select(is_small, V(x * polynomial(squared, 1, 378, 17325, 135135)), V(one * (V(1) - e)));
    const V below = select(is_small, polynomial(squared, 28, 3150, 62370, 135135), V(V(1) + e));
    return select(not_finite(l), l, V(cap_ * (above / below)));
  }

  bool capped_;
  V cap_;
  V inverse_;
};

/// `value`, or -inf where the policy's logit in memory lies below the floor.
template <bool Mapped, class V>
struct logit_floor {
  V lowest;
  INFALIGN_HD explicit logit_floor(double floor) : lowest(constant<V>(floor)) {}
  INFALIGN_HD V operator()(V stored, V value) const {
    if constexpr (Mapped)
      return select(stored < lowest, V(-infinity<typename lane<V>::type>), value);
    else
      return value;
  }
};

/// Multiplication of differences of logits by the scale; nothing at all where it is known to be 1.
template <bool Mapped, class V>
struct logit_scale {
  V by;
  INFALIGN_HD explicit logit_scale(double scale) : by(constant<V>(scale)) {}
  INFALIGN_HD V operator()(V difference) const {
    if constexpr (Mapped)
      return by * difference;
    else
      return difference;
  }
};

/// The derivative of `cap·tanh(l/cap)`, from its value.
INFALIGN_HD inline double slope_at(double cap, double capped) {
  const double t = cap < infinity<double> && !not_finite(capped) ? capped / cap : 0;
  return (1 - t) * (1 + t);
}

INFALIGN_KEYED inline void check_logit_map(std::string_view function, const logit_map& map) {
  expects<domain_error>(map.scale > 0 && map.scale < infinity<double>, function, "the scale of the logits is ", map.scale,
                        ", must be positive and finite");
  expects<domain_error>(map.cap > 0, function, "the soft cap of the logits is ", map.cap, ", must be positive");
}

}  // namespace detail

}  // namespace infalign
