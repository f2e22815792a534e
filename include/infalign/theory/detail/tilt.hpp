// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/transform/tabulated.hpp"

namespace infalign::detail {

inline std::vector<double> kinks(const tabulated& table) {
  const tabulated_ref points = table.ref();
  return {points.u + 1, points.u + points.size - 1};
}
/// Points of (0, 1) where a transform's derivative or curvature jumps: panels end there. A factor and an offset (`scaled`,
/// `shifted`) leave them, `clamped` adds its bounds.
template <class Transform>
std::vector<double> kinks(const Transform& transform) {
  std::vector<double> at;
  if constexpr (
      requires { transform.inner; } && !requires { transform.outer; }) {
    at = kinks(transform.inner);
    if constexpr (requires { transform.lower + transform.upper; }) {
      at.push_back(transform.lower);
      at.push_back(transform.upper);
    }
  }
  return at;
}

/// What a tilted density is at one β.
struct tilt_moments {
  double log_mass = 0;  ///< `log ∫ e^{(Φ(u) - max Φ)/β} du`
  double kl = 0;
  double variance = 0;  ///< of Φ/β under the density: the derivative of KL by -log β
};

/// The densities `e^{Φ/β}/Z` of one Φ, from its derivative alone, in the logit of u. Differences of Φ are integrals of its
/// derivative, so that they have their relative accuracy next to an end, where a layer of width β/Φ' may lie, and no exponent is
/// ever formed by subtracting large values. Panels are halved until Φ, du and the density are resolved, and serve the next β.
class tilting {
 public:
  tilting(std::function<double(double)> derivative, std::vector<double> breaks);

  /// Moves to another β > 0.
  tilt_moments at(double beta);
  /// The density at the last β.
  [[nodiscard]] density_curve curve() const;
  [[nodiscard]] double beta() const { return 1 / sharpness_; }
  [[nodiscard]] const tilt_moments& moments() const { return moments_; }
  /// Where Φ is largest.
  [[nodiscard]] double anchor() const {
    return anchor_ == 0 ? 0 : anchor_ == pieces_.size() ? 1 : where_.at(pieces_[anchor_].low).u;
  }
  /// `max Φ - min Φ`, up to e^-45 from an end where that is infinite.
  [[nodiscard]] double range() const { return -std::min(pieces_.front().difference.front(), pieces_.back().difference.back()); }
  /// The KL divergence that β -> 0 leads to: `-log` of the width of the flat top of Φ, infinite without one.
  [[nodiscard]] double largest_kl() const;

 private:
  // u within e^-45 of 0 carries nothing; at the upper end, within e^-45 of the width of a layer.
  static constexpr double lowest = -45;
  static constexpr double highest = 45;

  struct piece {
    double low;
    double high;
    chebyshev::values width = {};       ///< du/dx
    chebyshev::values rise = {};        ///< dΦ/dx
    chebyshev::values difference = {};  ///< Φ - max Φ
    double tail = 0;                    ///< of rise
    double tail_before = 0;             ///< of the piece that this is a half of

    [[nodiscard]] double half() const { return 0.5 * (high - low); }
  };

  [[nodiscard]] double derivative_at(double u) const;
  [[nodiscard]] piece make(double low, double high) const;
  /// Panels far enough up for a layer of the given steepness.
  void reach(double steepness);

  void resolve_transform();
  /// Φ - max Φ by integrating outwards from the edge where Φ is largest.
  void settle_differences();
  static double integrate(piece& p, double level, bool downwards);

  [[nodiscard]] bool resolves_density(const piece& p) const;
  template <class Test>
  bool split_if(const Test& test);
  /// `∫ g((Φ - max Φ)/β) du`.
  template <class Integrand>
  [[nodiscard]] double total(const Integrand& g) const;

  std::function<double(double)> derivative_;
  chart where_;
  std::vector<double> breaks_;
  std::vector<piece> pieces_;
  std::size_t anchor_ = 0;
  double sharpness_ = 1;
  double mass_ = 1;
  tilt_moments moments_;
};

}  // namespace infalign::detail

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/tilt.hpp"
#endif
