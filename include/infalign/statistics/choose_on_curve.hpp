// SPDX-License-Identifier: Apache-2.0
/// \file
/// The best point of a curve that was estimated prompt by prompt, and how sure it is.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/student_t.hpp"
#include "infalign/core/views.hpp"
#include "infalign/statistics/clustered_mean.hpp"
#include "infalign/statistics/mean_covariance.hpp"

namespace infalign {

/// The best of M steps of a curve.
struct curve_choice {
  index_t step = 0;   ///< with the largest mean; of equal ones the first
  estimate value;     ///< there. The largest of several estimates is too high on average, by less than an error
  index_t first = 0;  ///< the smallest and the largest step that may be the true best
  index_t last = 0;
  std::vector<index_t> candidates;  ///< all of them
  std::vector<estimate> curve;      ///< the mean of every step
};

namespace detail {
/// `mean(i)` is that of step i, `ahead(i, j)` that of the paired differences of steps i and j.
template <class Mean, class Ahead>
INFALIGN_KEYED curve_choice choose(index_t steps, double level, const Mean& mean, const Ahead& ahead) {
  curve_choice found;
  for (index_t i = 0; i < steps; ++i) {
    found.curve.push_back(mean(i));
    if (found.curve.back().value > found.curve[static_cast<std::size_t>(found.step)].value) found.step = i;
  }
  found.value = found.curve[static_cast<std::size_t>(found.step)];
  const double tail = (1 - level) / static_cast<double>(steps > 1 ? steps - 1 : 1);
  for (index_t i = 0; i < steps; ++i) {
    const estimate lead = i == found.step ? estimate{} : ahead(found.step, i);
    const double t = lead.count > 1 ? -student_t_quantile(tail, static_cast<double>(lead.count - 1)) : infinity<double>;
    if (i == found.step || !(lead.value > t * lead.standard_error) || lead.value == 0) found.candidates.push_back(i);
  }
  found.first = found.candidates.front();
  found.last = found.candidates.back();
  return found;
}
}  // namespace detail

/// The step of a curve with the largest mean over prompts, and the set of steps that hold the true best with probability `level`: a
/// step is left out if the best one's paired advantage over it is significant, by Student's t over prompts (or clusters) with
/// Bonferroni's correction for the M - 1 steps. If the true best is left out, one of its comparisons has erred, so the set errs with
/// probability at most `1 - level`, as far as the t-intervals hold: of six steps with skewed rewards it held the best in 0.99 of 4,000 data
/// sets, of 5 prompts too (tests/coverage/sequences.cpp). With one prompt it is every step.
///
/// - Shapes: `curve` P ≥ 1 rows of M ≥ 1 values, such as `proxy_reward_curve` writes, in host memory; `clusters` empty, or P ids.
/// - Cost: 2·P·M. Errors: `shape_error`; `domain_error` for NaN, infinity, or a level outside (0, 1).
/// - Source: a confidence set for the largest of several means, Hsu, Annals of Statistics 9 (1981), by Bonferroni's inequality.
INFALIGN_KEYED inline curve_choice choose_on_curve(rows<const double> curve, double level = 0.95, quantity_range range = {},
                                                   span<const index_t> clusters = {}) {
  constexpr const char* function = "choose_on_curve";
  expects<shape_error>(curve.size() >= 1 && curve.columns() >= 1, function, "curve has ", curve.size(), " rows and ",
                       curve.columns(), " columns, at least one of either is needed");
  expects<shape_error>(clusters.empty() || clusters.size() == curve.size(), function, "clusters has ", clusters.size(),
                       " elements, curve has ", curve.size(), " rows");
  expects<domain_error>(level > 0 && level < 1, function, "level is ", level, ", must be in (0, 1)");
  const index_t prompts = curve.size(), steps = curve.columns();
  std::vector<double> column(static_cast<std::size_t>(prompts));
  const auto mean_of = [&](const auto& value, quantity_range of) {
    for (index_t p = 0; p < prompts; ++p) column[static_cast<std::size_t>(p)] = value(curve[p]);
    return detail::mean_of_clusters(column, clusters, of);
  };
  for (index_t p = 0; p < prompts; ++p)
    for (index_t i = 0; i < steps; ++i)
      expects<domain_error>(std::isfinite(curve[p][i]), function, "curve[", p, "][", i, "] is ", curve[p][i],
                            ", must be finite");
  return detail::choose(
      steps, level, [&](index_t i) { return mean_of([&](const auto& row) { return row[i]; }, range); },
      [&](index_t i, index_t j) { return mean_of([&](const auto& row) { return row[i] - row[j]; }, {}); });
}

/// The same from the state of a curve, whose prompts may lie on several machines: `seen.add(curve[p])` for each, then `merge`.
/// Errors: `shape_error` for a state without prompts, `domain_error` for a level outside (0, 1).
INFALIGN_KEYED inline curve_choice choose_on_curve(const mean_covariance& seen, double level = 0.95,
                                                   quantity_range range = {}) {
  constexpr const char* function = "choose_on_curve";
  expects<shape_error>(seen.count() >= 1, function, "seen has no prompts");
  expects<domain_error>(level > 0 && level < 1, function, "level is ", level, ", must be in (0, 1)");
  const auto combined = [&](index_t i, double of_i, index_t j, double of_j, quantity_range of) {
    std::vector<double> weights(static_cast<std::size_t>(seen.values()));
    weights[static_cast<std::size_t>(i)] += of_i;
    weights[static_cast<std::size_t>(j)] += of_j;
    return seen.combined(weights, of);
  };
  return detail::choose(
      seen.values(), level, [&](index_t i) { return combined(i, 1, i, 0, range); },
      [&](index_t i, index_t j) { return combined(i, 1, j, -1, {}); });
}

}  // namespace infalign
