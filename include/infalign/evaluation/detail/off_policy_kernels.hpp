// SPDX-License-Identifier: Apache-2.0
/// \file
/// The off-policy prediction of one prompt: the functionals of the tilted policy on its samples, and their delete-one jackknife.
#pragma once

#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// Maximises `Φ(C)`. The mid-rank of a value that occurs once says only where in its cell the truth may lie, so such cells may
/// be divided.
template <class Transform>
struct calibrated_objective {
  static constexpr bool divides_cells = true;
  Transform transform;
  template <class X>
  [[nodiscard]] INFALIGN_HD double operator()(double u, X) const {
    return static_cast<double>(transform(u));
  }
};

/// Maximises the values as they are.
struct value_objective {
  static constexpr bool divides_cells = false;
  template <class X>
  [[nodiscard]] INFALIGN_HD double operator()(double, X value) const {
    return static_cast<double>(value);
  }
};

/// The values of one prompt: `starts[i]` of its `samples` sorted values lie below the i-th distinct one, of which one may be
/// left out.
template <class T>
struct distinct_values {
  const T* sorted;
  const index_t* starts;
  index_t levels;
  index_t samples;

  [[nodiscard]] INFALIGN_HD index_t count(index_t level) const { return starts[level + 1] - starts[level]; }
  /// How many samples give the same when they are left out. Where `by_rank` alone tells, the first of neighbours that occur
  /// once each stands for all of them: without ties one evaluation is enough.
  [[nodiscard]] INFALIGN_HD index_t stands_for(index_t level, bool by_rank) const {
    if (!by_rank || count(level) > 1) return count(level);
    if (level > 0 && count(level - 1) == 1) return 0;
    index_t end = level;
    while (end < levels && count(end) == 1) ++end;
    return end - level;
  }

  [[nodiscard]] INFALIGN_HD index_t remaining_samples(index_t left_out) const { return samples - (left_out < levels ? 1 : 0); }

  /// `use(mass, below, value)` for cells in ascending order that hold `mass` samples above `below` others. If they are divided:
  /// a run of s neighbouring values that occur once each shows no tie, where values of probability p would show about s·Kp/2 of
  /// them; so they are finer than cells by a factor of about s, and each cell is cut into as many pieces.
  template <class Use>
  INFALIGN_HD void for_each_cell(index_t left_out, bool divided, const Use& use) const {
    // About 1024 pieces of [0, 1]; as many a cell whether one sample is left out or not, since a change would count K times.
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

/// Sums of `e^{R/β}` relative to the largest so far: whatever the size of β, and in one pass.
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

template <class T, class Objective, class Procedure, class BaseProcedure>
struct tilt_evaluator {
  distinct_values<T> values;
  Objective objective;
  double beta;
  Procedure procedure;
  BaseProcedure base_procedure;

  /// `left_out == levels` leaves nothing out.
  [[nodiscard]] INFALIGN_HD tilted_values operator()(index_t left_out, bool divided) const {
    using std::exp;
    using std::log;
    const auto total = static_cast<double>(values.remaining_samples(left_out));
    const auto at = [&](double m, double below, T value) { return objective((below + 0.5 * m) / total, value); };
    tilt_sums sums;
    values.for_each_cell(left_out, divided, [&](double m, double below, T value) { sums.add(m, at(m, below, value), beta); });
    double standard_sum = 0, sum = 0, policy_cdf = 0, served = 0, base_served = 0;
    values.for_each_cell(left_out, divided, [&](double m, double below, T value) {
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

/// Where the prediction of every prompt goes.
struct off_policy_columns {
  double* corrected[3];  ///< KL, standard and inference-time win rate
  double* plug_in[3];
  double* effective_samples;
};

/// One prompt: its distinct values, the functionals with nothing and with each value left out, and their combination
/// `K·θ - (K-1)·mean θ₍₋ᵢ₎`. Scratch a prompt: K + 2 positions and K + 2 `tilted_values`.
template <class Sorted, class Objective, class Procedure, class BaseProcedure>
struct off_policy_kernel {
  Sorted sorted;
  Objective objective;
  double beta;
  Procedure procedure;
  BaseProcedure base_procedure;
  index_t* positions;
  tilted_values* left_out;
  off_policy_columns out;

  using T = typename Sorted::value_type;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = sorted[g];
    const index_t n = r.size();
    index_t* const found = positions + sorted.offset(g) + 2 * g;
    tilted_values* const values = left_out + sorted.offset(g) + 2 * g;
    team.once([&] { find_distinct(r, found); });
    // By a sum over one item, which all lanes wait for.
    const auto levels = static_cast<index_t>(team.sum_items(1, [&](index_t) { return static_cast<double>(found[0]); }));
    const distinct_values<T> distinct{r.data(), found + 1, levels, n};
    const tilt_evaluator<T, Objective, Procedure, BaseProcedure> evaluate{distinct, objective, beta, procedure, base_procedure};
    constexpr bool divided = Objective::divides_cells;
    team.items(levels + 2, [&](index_t i) {
      if (i > levels)
        values[i] = evaluate(levels, false);
      else if (i == levels || distinct.stands_for(i, divided) > 0)
        values[i] = evaluate(i, divided);
    });
    const auto corrected = [&](double tilted_values::*what) {
      const double sum = team.sum_items(levels, [&](index_t i) {
        const index_t weight = distinct.stands_for(i, divided);
        return weight == 0 ? 0 : static_cast<double>(weight) * (values[levels].*what - values[i].*what);
      });
      return values[levels].*what + sum * (static_cast<double>(n - 1) / static_cast<double>(n));
    };
    const double kl = corrected(&tilted_values::kl);
    const double standard_win_rate = corrected(&tilted_values::standard_win_rate);
    const double inference_win_rate = corrected(&tilted_values::inference_win_rate);
    team.once([&] {
      const tilted_values& plug_in = values[levels + 1];
      store(out.corrected, g, kl, standard_win_rate, inference_win_rate);
      store(out.plug_in, g, plug_in.kl, plug_in.standard_win_rate, plug_in.inference_win_rate);
      out.effective_samples[g] = values[levels].effective_samples;
    });
  }

 private:
  INFALIGN_HD static void store(double* const* columns, index_t g, double kl, double standard_win_rate,
                                double inference_win_rate) {
    columns[0][g] = kl;
    columns[1][g] = standard_win_rate;
    columns[2][g] = inference_win_rate;
  }

  /// `found[0]` distinct values, then how many samples lie below each, then how many there are.
  template <class Group>
  INFALIGN_HD static void find_distinct(Group r, index_t* found) {
    index_t levels = 0;
    for (index_t i = 0; i < r.size(); ++i)
      if (i == 0 || !(r[i] == r[i - 1])) found[1 + levels++] = i;
    found[0] = levels;
    found[1 + levels] = r.size();
  }
};

}  // namespace infalign::detail
