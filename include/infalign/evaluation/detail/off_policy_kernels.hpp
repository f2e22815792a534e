// SPDX-License-Identifier: Apache-2.0
/// \file
/// The off-policy prediction of one prompt: KL and win rates of the tilted policy on its samples, with the bias of order 1/K
/// taken out by the delete-one jackknife.
///
/// An example with K = 4 samples of rewards 1, 3, 3, 7, with Φ(u) = u and β = ½.
///
/// Distinct values and cells. The distinct values are 1, 3, 7: they hold 1, 2, 1 samples, and 0, 1, 3 samples lie below them
/// (`starts` is 0, 1, 3, 4). The cell of a value is the part of [0, 1] that it stands for, `mass` samples above `below` others:
///
///     value 1: mass 1, below 0, cell [0, ¼], middle ⅛
///     value 3: mass 2, below 1, cell [¼, ¾], middle ½
///     value 7: mass 1, below 3, cell [¾, 1], middle ⅞
///
/// Weights. The middle of a cell is the mid-rank of its value, its calibrated reward. The policy gives the cell the probability
/// `p = mass·e^{Φ(middle)/β} / Σ mass·e^{Φ(middle)/β}`, here 0.103, 0.436 and 0.461. Hence `KL = Σ p·log(p/(mass/4)) = 0.131`,
/// and the standard win rate is `Σ p·middle = 0.634`.
///
/// Division. The value 3 is tied, so it has a probability of its own, and its cell stays whole. A value that occurs once may be
/// one of a continuum: then its true quantile lies anywhere in its cell, and the cell is cut into pieces with a middle each.
/// How many depends on its neighbours (`for_each_cell`). Neither 1 nor 7 has a neighbour that occurs once, so both stay in one
/// piece. Of 1, 3, 4, 7 each would be cut into four.
///
/// Jackknife. Let θ be one of the numbers, from all samples, and θ₍₋ᵢ₎ the same without sample i. Their biases are about a/K
/// and a/(K-1), so `K·θ - (K-1)·mean θ₍₋ᵢ₎` has neither. The standard win rate is 0.621 without the 1, 0.655 without a 3
/// (1, 3, 7 then occur once each, and their cells are cut into three) and 0.589 without the 7. Equal samples leave the same
/// behind, so each value counts as often as it occurs (`stands_for` is 1, 2, 1):
/// `4·0.634 - 3·(0.621 + 2·0.655 + 0.589)/4 = 0.648`. With infinitely many samples of a continuous reward it is 0.657.
///
/// Of 1, 3, 4, 7 only the ranks matter, and each sample leaves the same ranks behind. One θ₍₋ᵢ₎ is then enough, and
/// `stands_for` is 4, 0, 0, 0.
#pragma once

#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/evaluation/detail/off_policy_prompts.hpp"

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

/// Where the numbers of every prompt go: one array for each, indexed by prompt. Those that are not wanted are null.
struct off_policy_columns {
  double* corrected[3];  ///< KL, standard and inference-time win rate
  double* plug_in[3];
  double* unseen[3];  ///< by how much a better level would change them that was not sampled
  double* effective_samples;
  double* blind;  ///< 1 if effective samples are few only because of such a level
  double* tied;   ///< 1 if samples tie, or ranks alone do not decide
};

/// One prompt in three steps: find the distinct values; evaluate θ from all samples and without one sample of each value;
/// combine them as `K·θ - (K-1)·mean θ₍₋ᵢ₎`. Scratch a prompt: K + 2 positions and K + 2 `tilted_values`.
template <class Sorted, class Objective, class Procedure, class BaseProcedure>
struct off_policy_kernel {
  Sorted sorted;
  Objective objective;
  double beta;
  Procedure procedure;
  BaseProcedure base_procedure;
  index_t* positions;
  tilted_values* left_out;
  const off_policy_pool* pooled;
  off_policy_columns out;

  using T = typename Sorted::value_type;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto r = sorted[g];
    const index_t n = r.size();
    if (n < 2) {  // half of a prompt of two or three samples
      team.once([&] { store(out.corrected, g, infinity<double>, infinity<double>, infinity<double>); });
      return;
    }
    index_t* const found = positions + sorted.offset(g) + 2 * g;
    tilted_values* const values = left_out + sorted.offset(g) + 2 * g;
    team.once([&] { find_distinct(r, found); });
    // Read through a sum over one item: all lanes wait for it, so none reads `found` before it is written.
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
      store(out.corrected, g, kl, standard_win_rate, inference_win_rate);
      if (out.effective_samples != nullptr) store_details(evaluate, values, levels, g);
    });
  }

 private:
  INFALIGN_HD static void store(double* const* columns, index_t g, double kl, double standard_win_rate,
                                double inference_win_rate) {
    columns[0][g] = kl;
    columns[1][g] = standard_win_rate;
    columns[2][g] = inference_win_rate;
  }

  /// Where samples tie, a level that other prompts have, or that nobody has seen if all rewards are the same, may be missing. Of
  /// raw rewards, values as far above the median as in other prompts may be.
  template <class Evaluate>
  INFALIGN_HD void store_details(const Evaluate& evaluate, const tilted_values* values, index_t levels, index_t g) const {
    const auto size = [](double x) { return x < 0 ? -x : x; };
    const tilted_values& plug_in = values[levels + 1];
    store(out.plug_in, g, plug_in.kl, plug_in.standard_win_rate, plug_in.inference_win_rate);
    const auto r = sorted[g];
    const index_t n = r.size();
    constexpr bool raw = !Objective::divides_cells;
    const auto best = static_cast<T>(raw ? static_cast<double>(r[n / 2]) + pooled->excess : pooled->top);
    const bool may_miss = (raw || levels < n) && (!pooled->vary() || r[n - 1] < best);
    // How many samples of a prompt, at most, a level stands for that was not sampled.
    const double missed = 3 / static_cast<double>(pooled->prompts);
    const tilted_values with = may_miss ? evaluate.with_better(best, missed) : plug_in;
    store(out.unseen, g, size(with.kl - plug_in.kl), size(with.standard_win_rate - plug_in.standard_win_rate),
          size(with.inference_win_rate - plug_in.inference_win_rate));
    const double seen = values[levels].effective_samples;
    // Of raw rewards that are all the same, nobody knows what a better one would be.
    const bool known = !raw || pooled->vary();
    const double effective = !may_miss ? seen : known ? evaluate.with_better(best, 1).effective_samples : 1;
    out.tied[g] = raw || levels < n ? 1 : 0;
    out.effective_samples[g] = effective < seen ? effective : seen;
    out.blind[g] = effective < enough_effective_samples && !(seen < enough_effective_samples) ? 1 : 0;
  }

  /// Writes to `found` the number of distinct values, then for each how many samples lie below it, then the number of samples.
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
