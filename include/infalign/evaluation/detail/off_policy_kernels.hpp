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
#include "infalign/evaluation/detail/tilted_values.hpp"

namespace infalign::detail {

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
