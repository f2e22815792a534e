// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "infalign/theory/detail/chebyshev.hpp"

namespace infalign::detail {

/// The derivative on [0, 1] of a function that is only known by its values. Polynomials of degree 16 are put through the
/// function, on pieces that are halved until what is missing is rounding error; then they are differentiated. Where the
/// function is smooth, the error is about 1e-12 of the largest value of the derivative. At a kink the halving ends at a width
/// of 2^-30, so that a jump of the derivative is smeared over 1e-9.
class numerical_density {
 public:
  explicit numerical_density(const std::function<double(double)>& function) { fit(function, 0, 1, 0); }

  double operator()(double q) const {
    const double at = std::clamp(q, 0.0, 1.0);
    const auto next = std::upper_bound(pieces_.begin(), pieces_.end(), at, [](double x, const piece& p) { return x < p.low; });
    const piece& p = *(next - 1);
    return chebyshev::points().interpolate(p.slope, 2 * (at - p.low) / p.width - 1);
  }

 private:
  struct piece {
    double low;
    double width;
    chebyshev::values slope;
  };

  void fit(const std::function<double(double)>& function, double low, double width, int depth) {
    const chebyshev& points = chebyshev::points();
    chebyshev::values value;
    for (std::size_t i = 0; i < chebyshev::size; ++i) value[i] = function(low + 0.5 * width * (1 + points.node[i]));
    const double rounding = 1e-15 * std::max(std::abs(value.front()), std::abs(value.back()));
    if (points.tail(value) > rounding && depth < 30) {
      fit(function, low, 0.5 * width, depth + 1);
      fit(function, low + 0.5 * width, 0.5 * width, depth + 1);
      return;
    }
    chebyshev::values slope = points.derivative(value);
    for (double& s : slope) s = std::max(0.0, 2 / width * s);
    pieces_.push_back({low, width, slope});
  }

  std::vector<piece> pieces_;
};

}  // namespace infalign::detail
