// SPDX-License-Identifier: Apache-2.0
/// \file
/// Soft best-of-N in the theory: what it makes of one policy's CDF.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/serving/soft_best_of.hpp"
#include "infalign/theory/detail/chebyshev.hpp"

namespace infalign {

namespace detail {

/// A piece of [0, 1] with the exponents `v/λ` and the density at the Chebyshev points.
struct INFALIGN_KEYED soft_panel {
  double low, width;
  chebyshev::values exponent, density = {}, cdf = {};
};

/// Panels on which the exponent varies by at most 2 and is a polynomial to 1e-12; or that are no wider than 2^-44.
template <class Exponent>
INFALIGN_KEYED void add_soft_panels(const Exponent& exponent, double low, double width, int depth,
                                    std::vector<soft_panel>& panels) {
  constexpr double end = 0x1p-50;  // an exponent may be infinite at 0 and 1
  const chebyshev& points = chebyshev::points();
  soft_panel panel{low, width, {}};
  for (std::size_t i = 0; i < chebyshev::size; ++i)
    panel.exponent[i] = exponent(std::clamp(low + 0.5 * width * (1 + points.node[i]), end, 1 - end));
  const auto [least, most] = std::minmax_element(panel.exponent.begin(), panel.exponent.end());
  // A smaller tail is the rounding of q next to 1.
  const double rounding = std::max(1e-12 * std::max(1.0, std::abs(*most)), 3e-15 * (*most - *least) / width);
  const bool resolved = *most - *least <= 2 && points.tail(panel.exponent) <= rounding;
  expects<domain_error>(panels.size() < 20'000, "soft_distortion", "reward takes more than 20000 pieces to be resolved");
  if (resolved || depth == 44) return panels.push_back(panel);
  add_soft_panels(exponent, low, 0.5 * width, depth + 1, panels);
  add_soft_panels(exponent, low + 0.5 * width, 0.5 * width, depth + 1, panels);
}

}  // namespace detail

/// What `soft_best_of` makes of a policy's CDF, given the reward `v(q)` at the policy's quantile q: the density of what is served is
///
///     G'(q) = N·E[e^{v(q)/λ} / (e^{v(q)/λ} + Σ_{j<N} e^{v(U_j)/λ})],   U_j uniform,
///
/// It is a distortion of that policy alone: rewards count and not ranks alone, so that every policy has its own, and the base has
/// another. Win rates before training follow, without any draw; for the policy of `tilted_density`, selected by its calibrated reward:
///
/// \code
/// const soft_best_of procedure(4, 0.2);
/// density.win_rate(soft_distortion(procedure, [&](double q) { return density.quantile(q); }),
///                  soft_distortion(procedure, [](double u) { return u; }));
/// \endcode
///
/// That is what `density.win_rate(procedure, procedure)` does, and what `plan` and `frontier` do of a
/// `matchup(procedure)`; `optimal_transform` finds what to train with.
/// `served_value(g, …)` is what it is worth by a true reward g(q), `procedure_kl(…)` its KL to the policy.
///
/// By `1/S = ∫ e^{-xS} dx` it is `N·∫ x·e^{a - x·e^a}·M(x)^{N-1} d(log x)` with `a = v(q)/λ` and `M(x) = ∫ exp(-x·e^{v/λ}) dq`: a sum
/// over equal steps of log x, which converges as `e^{-40}` for steps of ¼. Error: about 1e-12·N. The reward need not increase; a jump
/// in it is resolved to 2^-44. Cost: 1 to 50 ms to construct, growing with the square of `range/λ`.
///
/// Errors: `domain_error` for a reward that is NaN, or not finite inside [2^-50, 1 - 2^-50]; for one that takes
/// more than 20,000 pieces to resolve, as with 400 jumps; for a range of more than 4000λ (there it is
/// `best_of`). Source: Verdun et al., arXiv 2505.03156; the integral: derived.
class soft_distortion {
 public:
  template <class Reward>
  INFALIGN_KEYED soft_distortion(const soft_best_of& procedure, const Reward& reward) : procedure_(procedure) {
    const auto exponent = [&](double q) {
      const double v = static_cast<double>(reward(q));
      expects<domain_error>(!not_finite(v), "soft_distortion", "reward at the quantile ", q, ", is ", v, ", must be finite");
      return v / procedure.lambda;
    };
    detail::add_soft_panels(exponent, 0, 1, 0, panels_);
    integrate();
  }
  [[nodiscard]] INFALIGN_KEYED double distortion(double q) const {
    return std::clamp(at(q, &detail::soft_panel::cdf), 0.0, 1.0);
  }
  [[nodiscard]] INFALIGN_KEYED double density(double q) const { return std::max(0.0, at(q, &detail::soft_panel::density)); }
  [[nodiscard]] index_t samples_needed() const { return procedure_.n; }
  [[nodiscard]] long density_cost() const { return 3; }
  [[nodiscard]] std::string name() const {
    return "soft_best_of:" + std::to_string(procedure_.n) + ":" + detail::format_parameter(procedure_.lambda);
  }

 private:
  static constexpr double step = 0.25, reach = 40, beyond = 4;  ///< e^{t - e^t} counts from t = -40 to t = 4

  [[nodiscard]] INFALIGN_KEYED double at(double q, detail::chebyshev::values detail::soft_panel::*what) const {
    const auto next =
        std::upper_bound(panels_.begin(), panels_.end(), q, [](double x, const detail::soft_panel& p) { return x < p.low; });
    const detail::soft_panel& p = next == panels_.begin() ? *next : *(next - 1);
    return detail::chebyshev::points().interpolate(p.*what, std::clamp(2 * (q - p.low) / p.width - 1, -1.0, 1.0));
  }

  /// `M(e^s)`.
  [[nodiscard]] INFALIGN_KEYED double laplace(double s) const {
    double sum = 0;
    detail::chebyshev::values value;
    for (const detail::soft_panel& p : panels_) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        const double t = s + p.exponent[i];
        value[i] = t < -reach ? 1 : t > beyond ? 0 : std::exp(-std::exp(t));
      }
      sum += 0.5 * p.width * detail::chebyshev::points().integrate(value);
    }
    return std::clamp(sum, 0.0, 1.0);
  }

  INFALIGN_KEYED void integrate() {
    double least = infinity<double>, most = -infinity<double>;
    for (const detail::soft_panel& p : panels_)
      for (const double a : p.exponent) least = std::min(least, a), most = std::max(most, a);
    expects<domain_error>(most - least <= 4000, "soft_distortion", "lambda is ", procedure_.lambda,
                          ", must be at least a 4000th of the range of the reward, ", (most - least) * procedure_.lambda);
    // Exponents from 0 down; s from -beyond up in steps.
    for (detail::soft_panel& p : panels_)
      for (double& a : p.exponent) a -= most;
    const auto steps = static_cast<std::size_t>((most - least + reach + 2 * beyond) / step) + 1;
    std::vector<double> others(steps);
    const auto n = static_cast<double>(procedure_.n);
    for (std::size_t k = 0; k < steps; ++k) others[k] = n * step * std::pow(laplace(node(k)), n - 1);
    double below = 0;
    for (detail::soft_panel& p : panels_) {
      for (std::size_t i = 0; i < p.exponent.size(); ++i) {
        const double first = std::floor((-p.exponent[i] - reach - node(0)) / step);
        double sum = 0;
        for (std::size_t k = first > 0 ? static_cast<std::size_t>(first) : 0; k < steps; ++k) {
          const double t = node(k) + p.exponent[i];
          if (t > beyond) break;
          sum += others[k] * std::exp(t - std::exp(t));
        }
        p.density[i] = sum;
      }
      p.cdf = detail::chebyshev::points().primitive(p.density);
      for (double& c : p.cdf) c = below + 0.5 * p.width * c;
      below = p.cdf.back();
    }
    for (detail::soft_panel& p : panels_) {
      for (double& c : p.cdf) c /= below;
      for (double& d : p.density) d /= below;
    }
  }
  [[nodiscard]] static double node(std::size_t k) { return -reach + step * static_cast<double>(k); }

  soft_best_of procedure_;
  std::vector<detail::soft_panel> panels_;
};

}  // namespace infalign
