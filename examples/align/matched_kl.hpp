// SPDX-License-Identifier: Apache-2.0
/// \file
/// Comparing methods at the same KL: each method's win rate is interpolated on its own frontier, prompt by prompt.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "evaluation.hpp"
#include "infalign/infalign.hpp"

namespace align {

/// One trained policy.
struct policy_run {
  std::string method;
  double beta = 0;
  evaluation result;
  infalign::estimate kl;
  std::array<infalign::estimate, n_procedures> win_rate;
};

template <class Backend>
policy_run summarize_run(Backend& on, std::string method, double beta, evaluation result) {
  policy_run run{std::move(method), beta, std::move(result), {}, {}};
  run.kl = infalign::summarize(on, run.result.kl, infalign::not_negative_range);
  for (std::size_t i = 0; i < n_procedures; ++i)
    run.win_rate[i] = infalign::summarize(on, run.result.win_rate[i], infalign::win_rate_range);
  return run;
}

/// A difference in win rate at one KL.
struct comparison {
  std::string procedure;
  std::string method;
  std::string baseline;
  double kl;
  infalign::estimate difference;
};

/// The policies of one method, by increasing KL.
inline std::vector<const policy_run*> frontier(const std::vector<policy_run>& runs, const std::string& method) {
  std::vector<const policy_run*> points;
  for (const policy_run& run : runs)
    if (run.method == method) points.push_back(&run);
  std::sort(points.begin(), points.end(), [](auto* a, auto* b) { return a->kl.value < b->kl.value; });
  return points;
}

/// Per-prompt win rates at `kl`, linearly between the two nearest policies of a frontier that spans it.
///
/// The KL of the two policies is itself an estimate, so that a prompt may have a KL above `kl` by chance. To let that error show in
/// the standard error, slope · (KL of the prompt - kl) is subtracted from each prompt's value (the delta method). The mean stays the
/// same, as the mean KL over prompts is `kl`.
inline std::vector<double> win_rate_at(const std::vector<const policy_run*>& points, std::size_t procedure, double kl) {
  std::size_t upper = 1;
  while (upper + 1 < points.size() && points[upper]->kl.value < kl) ++upper;
  const policy_run& a = *points[upper - 1];
  const policy_run& b = *points[upper];
  const double span = b.kl.value - a.kl.value;
  const double share = (kl - a.kl.value) / span;
  const double slope = (b.win_rate[procedure].value - a.win_rate[procedure].value) / span;
  const auto mix = [share](double low, double high) { return low + share * (high - low); };
  std::vector<double> win_rate(a.result.kl.size());
  for (std::size_t p = 0; p < win_rate.size(); ++p)
    win_rate[p] = mix(a.result.win_rate[procedure][p], b.result.win_rate[procedure][p]) -
                  slope * (mix(a.result.kl[p], b.result.kl[p]) - kl);
  return win_rate;
}

/// The KL nearest to `wanted` that both frontiers span; nothing if they do not overlap.
inline std::optional<double> common_kl(const std::vector<const policy_run*>& a, const std::vector<const policy_run*>& b,
                                       double wanted) {
  if (a.size() < 2 || b.size() < 2) return std::nullopt;
  const double low = std::max(a.front()->kl.value, b.front()->kl.value);
  const double high = std::min(a.back()->kl.value, b.back()->kl.value);
  if (low > high) return std::nullopt;
  return std::clamp(wanted, low, high);
}

/// Every method against `baseline`, under every procedure.
template <class Backend>
std::vector<comparison> compare_at_matched_kl(Backend& on, const std::vector<policy_run>& runs,
                                              const std::vector<std::string>& methods, const std::string& baseline,
                                              double wanted_kl) {
  std::vector<comparison> comparisons;
  const auto reference = frontier(runs, baseline);
  for (std::size_t procedure = 0; procedure < n_procedures; ++procedure)
    for (const std::string& method : methods) {
      const auto points = frontier(runs, method);
      const std::optional<double> kl = common_kl(points, reference, wanted_kl);
      if (method == baseline || !kl) continue;
      std::vector<double> difference = win_rate_at(points, procedure, *kl);
      const std::vector<double> other = win_rate_at(reference, procedure, *kl);
      for (std::size_t p = 0; p < difference.size(); ++p) difference[p] -= other[p];
      comparisons.push_back({procedure_names[procedure], method, baseline, *kl,
                             infalign::summarize(on, difference, infalign::win_rate_difference_range)});
    }
  return comparisons;
}

}  // namespace align
