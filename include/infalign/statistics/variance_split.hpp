// SPDX-License-Identifier: Apache-2.0
/// \file
/// How much of an error comes from which prompts were asked, and how much from the samples of each: what to buy more of.
///
/// \code
/// infalign::variance_split seen;
/// for (const auto& prompt : prompts) seen.add(prompt.summary_of_its_samples);
/// seen.sampling_share();  // 0.8: four fifths of the variance fall if each prompt gets enough samples
/// \endcode
#pragma once

#include <cmath>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/statistics/estimate.hpp"
#include "infalign/statistics/summary.hpp"

namespace infalign {

/// The state of a mean over prompts of means over samples. A prompt with m samples has the sampling variance `s²/m`, estimated from its
/// own samples; what else prompts differ by is theirs. Merges like `summary`.
///
/// It is for means: standard win rates, passes, expected rewards of plain samples. The values of best-of-N are no means of independent
/// samples; split those by two halves (`estimate_variance_components`, theory/sampling_plan.hpp).
///
/// - Memory: 64 bytes, trivially copyable. Cost: a few operations a prompt. Rounding: that of `summary`.
/// - Source: a one-way layout with random effects; Searle, Casella and McCulloch, Variance Components (1992), section 3.6.
struct variance_split {
  summary means;              ///< of the prompts' means
  double within_squares = 0;  ///< `Σ_p Σ_i (x_pi - m_p)²`
  index_t within_count = 0;   ///< its degrees of freedom
  summary sampling;           ///< of the sampling variances `s_p²/m_p` of prompts with at least two samples

  /// One more prompt, by the summary of its samples. Errors: `shape_error` for no samples.
  INFALIGN_KEYED void add(const summary& samples) {
    expects<shape_error>(samples.count >= 1, "variance_split::add", "samples is empty");
    means.add(samples.mean);
    if (samples.count < 2) return;
    const auto m = static_cast<double>(samples.count);
    within_squares += samples.m2;
    within_count += samples.count - 1;
    sampling.add(samples.m2 / (m - 1) / m);
  }
  INFALIGN_HD constexpr void merge(const variance_split& other) {
    means.merge(other.means);
    within_squares += other.within_squares;
    within_count += other.within_count;
    sampling.merge(other.sampling);
  }

  /// Variance of one sample around the mean of its prompt, pooled over prompts. NaN if none has two samples.
  [[nodiscard]] INFALIGN_HD double within() const { return within_squares / static_cast<double>(within_count); }
  /// Variance of a prompt's mean by sampling, on average over the prompts. A prompt with one sample counts as the pooled variance.
  [[nodiscard]] INFALIGN_HD double of_sampling() const {
    const auto alone = static_cast<double>(means.count - sampling.count);
    const double singles = alone > 0 ? alone * within() : 0;
    return (sampling.mean * static_cast<double>(sampling.count) + singles) / static_cast<double>(means.count);
  }
  /// Variance between the true means of prompts: unbiased, and below 0 by chance where they hardly differ. NaN for one prompt.
  [[nodiscard]] INFALIGN_HD double between() const { return means.m2 / static_cast<double>(means.count - 1) - of_sampling(); }
  /// The share of the variance of the overall mean that more samples a prompt would take away, in [0, 1]; the rest takes more prompts.
  [[nodiscard]] INFALIGN_HD double sampling_share() const {
    const double b = between(), s = of_sampling();
    return !(b > 0) ? (b == b ? 1 : b) : s / (b + s);
  }
  /// The mean over prompts with its standard error, which holds both parts.
  [[nodiscard]] INFALIGN_HD estimate mean(quantity_range range = {}) const { return estimate_of(means, range); }
};

}  // namespace infalign
