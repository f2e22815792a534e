// SPDX-License-Identifier: Apache-2.0
/// \file
/// The best possible transform for a KL weight and the procedures that will be run.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/theory/detail/density_curve.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/transform/tabulated.hpp"

namespace infalign {

namespace detail {
class shooting;
struct effort;
class budget_search;
}  // namespace detail

/// Thrown where no solution was found: the problem is too stiff to be solved in `double`.
struct optimum_not_found : error {
  using error::error;
};

/// What is known about an optimum.
enum class optimality {
  proved_global,          ///< `W - β·KL` is concave, so that no other policy does better
  best_stationary_point,  ///< the best of all stationary points that a scan of the solutions found
  /// A policy within a KL budget that no β has the optimum for: `optimal_within` bounds how much more there may be.
  within_bound
};

/// The transform whose policy `f ∝ e^{Φ*/β}` maximises `W - β·KL` for a matchup, together with that policy:
/// `Φ*(v) = -∫_v^1 Σ p_i·g_i(F)·g_i^base du`. Transform and policy determine each other, as `F` is the CDF of `f`. Written for
/// `F` alone it is a boundary-value problem: `F'' = F'·k(F, u)/β`, `F(0) = 0`, `F(1) = 1`, with `k = Σ p_i·g_i·g_i^base`.
///
/// The problem is solved by shooting: guess `f(1)`, integrate downwards from `u = 1`, and correct the guess until `F(0) = 0`.
/// The right `f(1)` lies between 1 and `1 + max Σ p_i·g_i^base/β`. Every stationary point of `W - β·KL` is such a solution.
/// Where `W - β·KL` is concave (`matchup::concave`, or `β >= matchup::steepest_fall()/4`) there is exactly one. Otherwise the
/// interval is scanned for several, and the one with the largest `W - β·KL` is kept.
///
/// Where the policy's procedure selects by the calibrated reward (`soft_best_of`, `rewind_and_repeat`), `Φ*` is `δW/δf` too, but the
/// integral above does not hold. With B(u) what the base side has served up to u, and the other samples drawn from f,
///
///     soft_best_of:       Φ*(v) = N·E[Σ_i w_i·B(u_i) | u_1 = v],   w = softmax(u/λ)
///     rewind_and_repeat:  Φ*(v) = S(b)·B(v) above τ,   b^{M-1}·B(v) + S'(b)·∫_τ^1 f·B + (M-1)·b^{M-2}·∫_0^τ f·B  below,
///                         b = F(τ),  S(b) = Σ_{i<M} b^i;  where the best is served otherwise, B·f is weighted by M·F^{M-1} below τ
///
/// up to a constant. Φ* need not rise. A mediocre response may do more harm than a bad one, which is not selected; next to a
/// threshold that is low for the policy, being rejected is worth more than passing, and Φ* jumps down at τ. The fixed point
/// `log f = Φ*[f]/β - log Z` is found by Newton's method, each step one of ascent, on panels that hold f to 1e-13.
///
/// It is proved to be the only one for `β >= N(N-1)/2` alone. Otherwise several starts guard against a lesser maximum, and the best
/// end is kept. For soft best-of-N they are the optimum of a larger β and two tilts. For rewind-and-repeat, the best policy of a given
/// b is known where the last attempt is served, and W - β·KL is a function of b alone; the starts are its maxima on a grid of b. Where
/// the best is served, these are a guess, and the others are tried too. In 408 problems (N and M from 2 to 100, λ from 0.02 to 2, τ
/// from 0.2 to 0.9, β from 0.01 to 1) none of 2,448 random starts led to more. For a λ below about 0.005 or N above about 1,000 a
/// KL may not be reached. A mixture of these procedures with others is not solved.
///
/// The object is itself a transform, with `Φ*(1) = 0`; `table` gives it in the form that training takes. Error of F, W and
/// `KL`: below 1e-10 for β >= 1e-4. Cost: about 0.5 ms for best-of-4 at β = 0.02; at β = 0.1 about 7 ms for
/// `soft_best_of(4, 0.1)`, 80 ms at λ = 0.005, and 4 ms for `rewind_and_repeat(0.8, 4)`.
///
/// Errors: `domain_error` unless `β > 0`. `optimum_not_found` if the solution misses `F(0) = 0` by more than 1e-9 because of
/// rounding; it is thrown at once if `k(1, 1)/β > 1e15` or `max g^base/β > 1e300`, or `1/β > 1e15` where procedures select by
/// reward, and after at most some seconds if the problem
/// needs more work than `detail::effort` allows.
/// Source: InfAlign (arXiv 2412.19792) for the coupled optimum; the boundary-value problem and Φ* by reward are derived.
class optimal_transform {
 public:
  static constexpr const char* citation = "Balashankar et al., InfAlign, ICML 2025 (arXiv 2412.19792)";

  optimal_transform(matchup played, kl_weight beta);

  template <class V>
  [[nodiscard]] V operator()(V u) const {
    return lanewise(value{*this}, u);
  }
  template <class V>
  [[nodiscard]] V derivative(V u) const {
    return lanewise(slope{*this}, u);
  }
  [[nodiscard]] std::string name() const { return "optimal"; }

  [[nodiscard]] double beta() const { return beta_; }
  [[nodiscard]] const matchup& played() const { return played_; }
  [[nodiscard]] double kl() const { return curve_.kl(); }
  [[nodiscard]] double standard_win_rate() const { return curve_.mean(); }
  /// What the policy wins in the matchup that it was solved for.
  [[nodiscard]] double win_rate() const { return win_rate_; }
  /// What the same policy wins in another matchup.
  [[nodiscard]] double win_rate(const matchup& other) const { return curve_.win_rate(other); }
  [[nodiscard]] double log_normalizer() const { return -top_; }
  [[nodiscard]] double log_density(double u) const { return curve_.log_density(in_range(u)); }
  [[nodiscard]] double density(double u) const { return std::exp(log_density(u)); }
  [[nodiscard]] double cdf(double u) const { return curve_.cdf(in_range(u)); }
  [[nodiscard]] double quantile(double p) const { return curve_.quantile(in_range(p)); }
  [[nodiscard]] optimality proof() const { return optimality_; }
  [[nodiscard]] index_t stationary_points() const { return found_; }

  /// The transform as a cubic interpolant with its exact slopes, monotone but where procedures select by reward. Its error is at most
  /// `tolerance·(max Φ* - min Φ*)`. It takes about 20 points for a tolerance of 1e-3 and 200 for 1e-7. A jump becomes a step of width
  /// 1e-9 below it. Errors: `domain_error` for a tolerance outside [1e-10, 1).
  [[nodiscard]] tabulated table(double tolerance = 1e-6) const;

 private:
  friend class detail::budget_search;

  /// `Φ` where the log-density is this.
  [[nodiscard]] double value_of(double log_density) const { return beta_ * (log_density - top_); }
  struct value {
    const optimal_transform& of;
    double operator()(double u) const { return of.value_of(of.log_density(u)); }
  };
  struct slope {
    const optimal_transform& of;
    double operator()(double u) const {
      if (of.played_.by_reward()) return of.beta_ * of.curve_.log_density_slope(in_range(u));
      return of.played_.slope(of.cdf(u), u);
    }
  };
  struct point {
    double u;
    double value;
    double slope;
  };

  /// Largest log of k(1, 1)/β, and of f(1): ln 1e15. Beyond it, the layer at the upper end that holds the mass is thinner than
  /// the spacing of doubles next to 1.
  static constexpr double stiffest = 34.5;
  static constexpr int deepest = 20;  ///< halvings of an interval of a table

  [[noreturn]] void not_found() const;
  static double in_range(double u) {
    expects<domain_error>(u >= 0 && u <= 1, "optimal_transform", "argument is ", u, ", must be in [0, 1]");
    return u;
  }

  /// An interval of guesses of `f(1)` in which `B(1) - 1` changes sign, where `B(1) = 1 - F(0)` is the mass that shooting
  /// found.
  struct bracket {
    double low;
    double high;
    bool rising;
  };

  /// The sign changes on a logarithmic grid of `f(1)`. One interval is enough where there is only one solution.
  [[nodiscard]] std::vector<bracket> brackets(int intervals, detail::effort& effort) const;
  /// The sign changes between ascending values of `log f(1)`. There are none if `shoot` gave up on the way.
  [[nodiscard]] static std::vector<bracket> sign_changes(detail::shooting& shoot, const std::vector<double>& heights,
                                                         double tolerance);
  /// A value y of `f(1)`, by how much it misses, and the derivative of that.
  struct shot {
    double y;
    double value;
    double slope;
  };
  /// Two sign changes between shots that miss on the same side, if the miss turns towards 0 from both: where the tangents meet
  /// is tried, until they meet before they reach 0.
  static void find_pair(detail::shooting& shoot, shot low, shot high, std::vector<bracket>& found);

  /// Every stationary point with `log f(1) <= highest`, by ascending `f(1)`. Beside a linear grid, the scan has a logarithmic
  /// one, as two of them come close to `f(1) = 1` for small β. None if some of them could not be solved.
  [[nodiscard]] static std::optional<std::vector<optimal_transform>> stationary_points_below(const matchup& played, double beta,
                                                                                             double highest,
                                                                                             detail::effort& effort);

  /// Newton's method on `B(1) - 1`, from the upper end of the bracket, where that function is nearly linear. The bracket is
  /// halved instead if a step would leave it, or if two steps in a row are as large as a quarter of it. Early shots are rough
  /// and cheap; their tolerance falls with the square of the step. Ends when a step from an exact shot changes y by at most
  /// 1e-9, and shoots once more. Leaves the solution in `shoot`; returns false if that gave up.
  bool solve(detail::shooting& shoot, bracket in) const;
  /// The policy of a bracket; none if the problem is too stiff there.
  [[nodiscard]] std::optional<detail::density_curve> solution(const bracket& in, detail::effort& effort) const;
  void keep_better(const bracket& in, detail::effort& effort);
  void take(detail::density_curve curve, double win_rate);

  /// Appends points up to `to`. Intervals are halved until the cubic through both ends is right at three points between them.
  void append(std::vector<double>& u, std::vector<double>& values, std::vector<double>& slopes, const point& to, double error,
              int depth) const;

  /// With an effort that several optima share.
  optimal_transform(matchup played, kl_weight beta, detail::effort& effort);
  void solve_all(detail::effort& effort);
  void solve_by_reward(detail::effort& effort);
  /// One that is not solved yet.
  optimal_transform(matchup played, double beta)
      : played_(std::move(played)), beta_(beta), optimality_(optimality::within_bound) {}

  matchup played_;
  double beta_;
  optimality optimality_;
  detail::density_curve curve_;
  double win_rate_ = 0;
  double top_ = 0;
  index_t found_ = 0;
};

}  // namespace infalign

#if !defined(INFALIGN_COMPILED)
#include "infalign/theory/definitions/optimal_transform.hpp"
#endif
