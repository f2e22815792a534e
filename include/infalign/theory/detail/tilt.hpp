// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/theory/detail/density_curve.hpp"

namespace infalign::detail {

/// Normaliser, KL and variance of the tilted density at one β.
struct tilt_moments {
  double log_mass = 0;  ///< `log ∫ e^{(Φ(u) - max Φ)/β} du`
  double kl = 0;
  double variance = 0;  ///< of Φ/β under the density: the derivative of KL by -log β
};

/// `Φ'` at the point `u = 1 - rest` of [0, 1]. Above a half, u alone would not tell how far 1 is.
using tilt_slope = std::function<double(double u, double rest)>;

/// The densities `e^{Φ/β}/Z` of one Φ at any β, from the derivative of Φ alone, in the logit of u. Differences of Φ are
/// computed as integrals of Φ', never by subtracting large values. They therefore keep their relative accuracy next to an end,
/// where all mass may lie in a layer of width β/Φ'. Panels are halved until Φ, du and the density are resolved; they are kept
/// for the next β. Where Φ falls, its largest value may lie anywhere, but no closer to 0 than e^-45.
///
/// Errors: `domain_error` that names the transform, if Φ' is not finite inside of (0, 1), if it is not 0 but below 1e-280
/// everywhere, if there are more than 10,000 breaks, or if more than 20,000 panels and 16 for each break would be needed. With
/// 20,000 panels, which take 10 MB, one β takes about 20 ms.
class tilting {
 public:
  tilting(std::string name, tilt_slope derivative, std::vector<double> breaks);

  /// Whether β > 0 is within what can be resolved: next to 1 the density varies on a scale of at least 1e-280 of u, or if Φ is
  /// infinite at 1, it has no mass closer to 1 than e^-650. Adds the panels that this β needs.
  [[nodiscard]] bool resolves(double beta);
  /// Moves to another β > 0, for which `resolves` has answered that it is within reach.
  tilt_moments at(double beta);
  /// The density at the last β.
  [[nodiscard]] density_curve curve() const;
  [[nodiscard]] double beta() const { return 1 / sharpness_; }
  [[nodiscard]] const tilt_moments& moments() const { return moments_; }
  /// Where Φ is largest.
  [[nodiscard]] double anchor() const {
    return anchor_ == 0 ? 0 : anchor_ == pieces_.size() ? 1 : where_.at(pieces_[anchor_].low).u;
  }
  /// `max Φ - min Φ`. Where that is infinite, the range up to a distance of e^-45 from the end.
  [[nodiscard]] double range() const { return -std::min(pieces_.front().difference.front(), pieces_.back().difference.back()); }
  /// The limit of the KL as β -> 0: `-log` of the width of the stretch on which Φ is largest and constant. Infinite if there is
  /// none.
  [[nodiscard]] double largest_kl() const;

 private:
  // Panels cover logits from -45 to 45. What lies closer to an end carries no mass, unless there is a layer at 1: see reach_mass().
  static constexpr double lowest = -45;
  static constexpr double highest = 45;
  static constexpr double farthest = 696;  // e^-700 is still a normal number
  static constexpr double thinnest = 1e-280;
  static constexpr std::size_t most_breaks = 10'000;
  static constexpr std::size_t most_pieces = 20'000;  // and 16 for each break

  struct piece {
    double low;
    double high;
    chebyshev::values width = {};       ///< du/dx
    chebyshev::values rise = {};        ///< dΦ/dx
    chebyshev::values difference = {};  ///< Φ - max Φ
    double tail = 0;                    ///< of `rise`: what its polynomial misses
    double tail_before = 0;             ///< the same of the piece that this is a half of

    [[nodiscard]] double half() const { return 0.5 * (high - low); }
  };

  [[nodiscard]] double smallest_beta() const;
  [[nodiscard]] double derivative_at(double u, double rest) const;
  [[nodiscard]] piece make(double low, double high) const;
  /// Adds panels towards u = 1, until what is left out is nothing to Φ itself (at first), or carries no mass at this β.
  void reach_range();
  bool reach_mass();
  void add_piece() { pieces_.push_back(make(pieces_.back().high, pieces_.back().high + 4)); }

  void expects_few(std::size_t pieces) const;
  void resolve_transform();
  /// Fills in Φ - max Φ, by integrating outwards from the edge of a piece where Φ is largest.
  void settle_differences();
  static double integrate(piece& p, double level, bool downwards);

  [[nodiscard]] bool resolves_density(const piece& p) const;
  template <class Test>
  bool split_if(const Test& test);
  /// `∫ g((Φ - max Φ)/β) du`.
  template <class Integrand>
  [[nodiscard]] double total(const Integrand& g) const;

  std::string name_;
  tilt_slope derivative_;
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
