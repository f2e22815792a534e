// SPDX-License-Identifier: Apache-2.0
/// \file
/// The optimal policy on the samples of one prompt: what it maximises, the distinct values, and KL and win rates of their tilted shares.
/// off_policy_kernels.hpp works out an example.
#pragma once

#include <cmath>

#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// The policy maximises `Φ(C)`. A value that occurs once has its true quantile anywhere in its cell, so its cell may be
/// divided.
template <class Transform>
struct calibrated_objective {
  static constexpr bool divides_cells = true;
  Transform transform;
  template <class X>
  [[nodiscard]] INFALIGN_HD double operator()(double u, X) const {
    return static_cast<double>(transform(u));
  }
};

/// The policy maximises the values as they are.
struct value_objective {
  static constexpr bool divides_cells = false;
  template <class X>
  [[nodiscard]] INFALIGN_HD double operator()(double, X value) const {
    return static_cast<double>(value);
  }
};

/// The sorted rewards of one prompt, as distinct values: `starts[i]` samples lie below the i-th of `levels`. One sample may be
/// left out.
template <class T>
struct distinct_values {
  const T* sorted;
  const index_t* starts;
  index_t levels;
  index_t samples;

  [[nodiscard]] INFALIGN_HD index_t count(index_t level) const { return starts[level + 1] - starts[level]; }
  /// The weight of this value in the jackknife: for how many samples the result without one sample of this value stands. That
  /// is the count of the value. Where ranks alone matter (`by_rank`), neighbours that occur once each are alike when left out:
  /// the first of them stands for all, the others for none. Without ties one evaluation is enough.
  [[nodiscard]] INFALIGN_HD index_t stands_for(index_t level, bool by_rank) const {
    if (!by_rank || count(level) > 1) return count(level);
    if (level > 0 && count(level - 1) == 1) return 0;
    index_t end = level;
    while (end < levels && count(end) == 1) ++end;
    return end - level;
  }

  [[nodiscard]] INFALIGN_HD index_t remaining_samples(index_t left_out) const { return samples - (left_out < levels ? 1 : 0); }

  /// Calls `use(mass, below, value)` for the cells in ascending order; a cell holds `mass` samples above `below` others.
  ///
  /// If they are divided, each cell of a run of s neighbouring values that occur once each is cut into s pieces. Why s: values
  /// of probability p would show about s·Kp/2 ties in such a run, and it shows none. So p is at most of the order of 1/(sK),
  /// the width 1/K of a cell divided by s.
  template <class Use>
  INFALIGN_HD void for_each_cell(index_t left_out, bool divided, const Use& use) const {
    // At most about 1024 pieces in all. The limit does not change when a sample is left out: the jackknife multiplies the
    // difference of the two results by K - 1.
    const index_t most_pieces = samples < 1024 ? 1024 / samples : 1;
    index_t below = 0;
    for (index_t i = 0; i < levels;) {
      const index_t held = remaining(i, left_out);
      if (!divided || held > 1) {
        if (held > 0) use(static_cast<double>(held), static_cast<double>(below), sorted[starts[i]]);
        below += held;
        ++i;
        continue;
      }
      index_t run = 0;
      const T value = sorted[starts[i]];
      for (; i < levels && remaining(i, left_out) <= 1; ++i) run += remaining(i, left_out);
      const index_t pieces = run < most_pieces ? run : most_pieces;
      for (index_t k = 0; k < run * pieces; ++k)
        use(1 / static_cast<double>(pieces), static_cast<double>(below) + static_cast<double>(k) / static_cast<double>(pieces),
            value);
      below += run;
    }
  }

 private:
  [[nodiscard]] INFALIGN_HD index_t remaining(index_t level, index_t left_out) const {
    return count(level) - (level == left_out ? 1 : 0);
  }
};

/// What the tilted policy is worth on a finite base.
struct tilted_values {
  double kl;
  double standard_win_rate;
  double inference_win_rate;
  double effective_samples;
};

/// Sums of `e = e^{(R - top)/β}`, `top` being the largest R so far. One pass is enough: when a larger R comes, the sums are
/// scaled to it. No exponential overflows, however small β is.
struct tilt_sums {
  double top = 0;
  double mass = 0;     ///< Σ m·e
  double squares = 0;  ///< Σ m·e²
  double first = 0;    ///< Σ m·e·log e

  INFALIGN_HD void add(double m, double objective, double beta) {
    using std::exp;
    const double distance = (objective - top) / beta;
    if (mass == 0 || distance > 0) {
      const double shrink = mass == 0 ? 0 : exp(-distance);
      first = shrink == 0 ? 0 : shrink * (first - distance * mass);
      mass = shrink * mass + m;
      squares = shrink * shrink * squares + m;
      top = objective;
    } else {
      const double e = exp(distance);
      if (e == 0) return;
      mass += m * e;
      squares += m * e * e;
      first += m * e * distance;
    }
  }
};

/// The numbers of one prompt from its cells, in two passes: the sums that normalise the policy, then its CDF `F` and that of
/// the base, `Q`, from cell to cell. The inference-time win rate is `Σ [G_π(F) - G_π(F⁻)]·[G_base(Q) + G_base(Q⁻)]/2`.
template <class T, class Objective, class Procedure, class BaseProcedure>
struct tilt_evaluator {
  distinct_values<T> values;
  Objective objective;
  double beta;
  Procedure procedure;
  BaseProcedure base_procedure;

  /// The numbers without one sample of the value `left_out`; `levels` leaves nothing out.
  [[nodiscard]] INFALIGN_HD tilted_values operator()(index_t left_out, bool divided) const {
    return of_cells(static_cast<double>(values.remaining_samples(left_out)),
                    [&](const auto& use) { values.for_each_cell(left_out, divided, use); });
  }
  /// The numbers with `mass` samples more, of a value above all others.
  [[nodiscard]] INFALIGN_HD tilted_values with_better(T value, double mass) const {
    const auto samples = static_cast<double>(values.samples);
    return of_cells(samples + mass, [&](const auto& use) {
      values.for_each_cell(values.levels, false, use);
      use(mass, samples, value);
    });
  }

 private:
  template <class EachCell>
  [[nodiscard]] INFALIGN_HD tilted_values of_cells(double total, const EachCell& for_each_cell) const {
    using std::exp;
    using std::log;
    const auto at = [&](double m, double below, T value) { return objective((below + 0.5 * m) / total, value); };
    tilt_sums sums;
    for_each_cell([&](double m, double below, T value) { sums.add(m, at(m, below, value), beta); });
    double standard_sum = 0, sum = 0, policy_cdf = 0, served = 0, base_served = 0;
    for_each_cell([&](double m, double below, T value) {
      const double p = m * exp((at(m, below, value) - sums.top) / beta) / sums.mass;
      policy_cdf = policy_cdf + p < 1 ? policy_cdf + p : 1;
      const double base_cdf = below + m < total ? (below + m) / total : 1;
      const double next = procedure.distortion(policy_cdf);
      const double base_next = base_procedure.distortion(base_cdf);
      standard_sum += p * (below + 0.5 * m) / total;
      sum += (next - served) * 0.5 * (base_served + base_next);
      served = next;
      base_served = base_next;
    });
    return {sums.first / sums.mass - log(sums.mass / total), standard_sum, sum, sums.mass * sums.mass / sums.squares};
  }
};

}  // namespace infalign::detail
