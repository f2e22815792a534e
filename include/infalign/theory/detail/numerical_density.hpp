// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/theory/detail/chebyshev.hpp"

namespace infalign::detail {

/// The derivative on [0, 1] of a function that is only known by its values. Polynomials of degree 16 are put through the
/// function, on pieces that are halved until what is missing is rounding error; then they are differentiated. Where the
/// function is smooth, the error relative to the largest value D of the derivative is about 1e-12, or 1e-14·D. At a kink the
/// halving ends at a width of 2^-30, so that a jump of the derivative is smeared over 1e-9.
///
/// Errors: `domain_error` that names the procedure, if the function is not finite, or takes more than 20,000 pieces (about 300
/// kinks). Those take 3 MB.
class numerical_density {
 public:
  numerical_density(std::string name, const std::function<double(double)>& function) : name_(std::move(name)) {
    fit(function, 0, 1, 0, infinity<double>);
  }

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

  static constexpr std::size_t most_pieces = 20'000;

  void fit(const std::function<double(double)>& function, double low, double width, int depth, double tail_before) {
    const chebyshev& points = chebyshev::points();
    chebyshev::values value;
    for (std::size_t i = 0; i < chebyshev::size; ++i) {
      const double q = low + 0.5 * width * (1 + points.node[i]);
      value[i] = function(q);
      expects<domain_error>(value[i] - value[i] == 0, "matchup", "the distortion of ", name_, " is ", value[i], " at ", q,
                            ", must be finite");
    }
    const double rounding = 1e-15 * std::max(std::abs(value.front()), std::abs(value.back()));
    const double tail = points.tail(value);
    // A small tail that halving does not make smaller is the rounding of 1 - q or of a value near 1, as in 1 - (1-q)^N.
    const double steepness = std::abs(value.back() - value.front()) / width;
    const bool noise = tail <= 1e-15 * std::max(1.0, steepness) && tail > 0.1 * tail_before;
    if (tail > rounding && !noise && depth < 30) {
      fit(function, low, 0.5 * width, depth + 1, tail);
      fit(function, low + 0.5 * width, 0.5 * width, depth + 1, tail);
      return;
    }
    expects<domain_error>(pieces_.size() < most_pieces, "matchup", "the distortion of ", name_, " takes more than ",
                          most_pieces, " pieces to be differentiated; give it a density()");
    chebyshev::values slope = points.derivative(value);
    for (double& s : slope) s = std::max(0.0, 2 / width * s);
    pieces_.push_back({low, width, slope});
  }

  std::string name_;
  std::vector<piece> pieces_;
};

}  // namespace infalign::detail
