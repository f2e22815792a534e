// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/detail/policy_grid.hpp"
#include "infalign/theory/detail/shooting.hpp"
#include "infalign/theory/matchup.hpp"

namespace infalign::detail {

/// A climb to a maximum of `W - β·KL` where the policy's procedures select by reward. The stationary points are those of
/// `log f = Φ[f]/β - log Z` with `Φ[f](v) = δW/δf(v)`. With `r = Φ/β - log f`, less its mean, and K the second derivative of W, a
/// Newton step solves `(1 - K·f/β)·d = r`. In the inner product `∫ f·a·b` the operator is symmetric, and positive at a maximum:
/// conjugate gradients solve it, and stop at a direction of negative curvature. Every such d is a direction of ascent, so that a
/// step that is halved until it ascends climbs to a maximum, never to a saddle. K acts by differences of Φ.
///
/// Panels are halved where the density is not resolved, and kept from one β to the next.
class reward_ascent {
 public:
  reward_ascent(const matchup& played, effort& shared);

  /// Starts at a log-density, which need not be normalised.
  void start(const std::function<double(double)>& log_density);
  /// Starts at the policy of most `W - β·KL` of all with a share b below the threshold of `rewind_and_repeat`, if it serves the last
  /// attempt: f is proportional to `e^{b^{M-1}·B/β}` below, and to `e^{S(b)·B/β}` above. The share is given by `log(b/(1-b))`.
  void start_rewinding(double logit, double beta);
  /// The maxima over b, on a grid, of what these starts are worth.
  [[nodiscard]] std::vector<double> rewinding_starts(double beta);
  /// Climbs for this β. False where it does not end, or where the effort is spent.
  [[nodiscard]] bool climb(double beta);

  [[nodiscard]] double win_rate() const { return now_.win_rate; }
  [[nodiscard]] double kl() const { return now_.kl; }
  /// The policy that was reached.
  [[nodiscard]] density_curve curve() const;

 private:
  using values = policy_grid::values;

  /// A policy, what it wins and its KL.
  struct state {
    values log_density, density, gradient;
    double win_rate = 0, kl = 0;
    [[nodiscard]] double worth(double beta) const { return win_rate - beta * kl; }
  };
  void lay(std::vector<policy_grid::panel> panels);
  [[nodiscard]] state at(values log_density);
  [[nodiscard]] double evaluate(const values& density, values& gradient);
  [[nodiscard]] double inner(const values& a, const values& b) const;
  void centre(values& a) const;
  [[nodiscard]] values residual(double beta) const;
  [[nodiscard]] values direction(const values& residual, double beta);
  [[nodiscard]] state moved(const values& direction, double step);
  [[nodiscard]] bool maximise(double beta);
  /// Halves the panels on which the policy is not resolved; false if there are none.
  [[nodiscard]] bool refine();

  const matchup& played_;
  effort& shared_;
  std::optional<policy_grid> grid_;
  std::vector<reward_win_rate> wins_;
  state now_;
  double most_samples_ = 1;  ///< of all pairs
};

}  // namespace infalign::detail

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/reward_ascent.hpp"
#endif
