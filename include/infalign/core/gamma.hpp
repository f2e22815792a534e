// SPDX-License-Identifier: Apache-2.0
/// \file
/// The logarithm of the gamma function and its derivatives, for positive numbers. The standard library's `lgamma` writes a global
/// variable, and two threads that call it race.
#pragma once

#include <cmath>

#include "infalign/core/config.hpp"

namespace infalign {

/// `log Γ(x)` for x > 0: by its asymptotic series from 16 on, below by `Γ(x) = Γ(x+1)/x`. Absolute error 1e-14·(1 + |result|).
INFALIGN_KEYED inline double log_gamma(double x) {
  double product = 1;
  for (; x < 16; ++x) product *= x;
  const double r = 1 / (x * x);
  const double series =
      (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188 - r * 691.0 / 360360))))) / x;
  return (x - 0.5) * std::log(x) - x + 0.9189385332046727418 + series - std::log(product);
}

/// `d/dx log Γ(x)` for x > 0, likewise. Absolute error about 1e-14.
INFALIGN_KEYED inline double digamma(double x) {
  double sum = 0;
  for (; x < 16; ++x) sum -= 1 / x;
  const double r = 1 / (x * x);
  return sum + std::log(x) - 0.5 / x - r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132)))));
}

/// `d²/dx² log Γ(x)` for x > 0, likewise. Relative error about 1e-13.
INFALIGN_KEYED inline double trigamma(double x) {
  double sum = 0;
  for (; x < 16; ++x) sum += 1 / (x * x);
  const double r = 1 / (x * x);
  return sum + 1 / x + 0.5 * r + r / x * (1.0 / 6 - r * (1.0 / 30 - r * (1.0 / 42 - r * (1.0 / 30 - r * (5.0 / 66)))));
}

}  // namespace infalign
