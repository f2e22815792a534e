// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/matchup.hpp"

namespace infalign::detail {

/// Panels of [0, 1] in `x = u - 1`, each with its Chebyshev points. Functions of u are their values at all points, one panel after
/// another; where two panels meet, a function has a value on either side and may jump.
class policy_grid {
 public:
  struct panel {
    double low, high;
    [[nodiscard]] double half() const { return 0.5 * (high - low); }
  };
  using values = std::vector<double>;

  explicit policy_grid(std::vector<panel> panels);

  [[nodiscard]] const std::vector<panel>& panels() const { return panels_; }
  [[nodiscard]] std::size_t size() const { return x.size(); }
  /// How many points are those of panels below an edge.
  [[nodiscard]] std::size_t points_below(double edge) const;
  /// `∫ f·g du`.
  [[nodiscard]] double integral(const values& f, const values& g) const;
  /// `∫₀^u f` at every point.
  [[nodiscard]] values primitive(const values& f) const;
  /// What the polynomials of f miss on panel p.
  [[nodiscard]] double tail(const values& f, std::size_t p) const;

  values x, weight;  ///< the points, and the weights of the integral over u

 private:
  std::vector<panel> panels_;
};

/// `S(b) = Σ_{i<M} b^i`, given `1 - b` too.
double rewound_samples(double attempts, double below, double above);

/// W of one pair of procedures whose policy side selects by reward, for densities f on a grid, and its derivative by f(v).
class reward_win_rate {
 public:
  reward_win_rate(const matchup::pair& pair, const policy_grid& grid);

  /// W. Adds `probability·δW/δf(v)` to `gradient`.
  double operator()(const policy_grid::values& density, policy_grid::values& gradient) const;
  /// What a call costs, in the panels of `effort`.
  [[nodiscard]] long cost() const;

 private:
  [[nodiscard]] double soft(const policy_grid::values& density, policy_grid::values& gradient) const;
  [[nodiscard]] double rewound(const rewind_and_repeat& procedure, const policy_grid::values& density,
                               policy_grid::values& gradient) const;
  void prepare(const soft_best_of& procedure);

  const matchup::pair& pair_;
  const policy_grid& grid_;
  policy_grid::values base_;  ///< what the base side has served up to u, `B(u)`
  /// Of the integral over log x, see `soft_distortion`: at every point, from step `first_` on, `e^{-x·e^a}` and `x·e^{a - x·e^a}`.
  std::vector<std::size_t> first_;
  std::vector<double> survival_, share_;
  std::size_t steps_ = 0;
};

}  // namespace infalign::detail

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/policy_grid.hpp"
#endif
