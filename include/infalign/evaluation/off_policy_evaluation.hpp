// SPDX-License-Identifier: Apache-2.0
/// \file
/// What off-policy evaluation predicts, with its intervals and its doubts.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

#include "infalign/core/views.hpp"
#include "infalign/statistics/estimate.hpp"

namespace infalign {

/// A predicted number. The standard errors are over prompts, and say nothing of the bias: `interval` does.
struct off_policy_value {
  estimate corrected;  ///< the prediction: the bias of order 1/K is taken out
  /// What it would be if each prompt's samples were its base policy (`tilted_win_rate`). It is too optimistic, by about the
  /// difference of the two.
  estimate plug_in;
  double of_halves = infinity<double>;  ///< the prediction from half of the samples, mean of both halves; infinite for K < 4
  double unseen = 0;                    ///< how far a level may move it that was not sampled

  /// How much bias may be left: the difference to the prediction from half of the samples, or half of the correction if that is
  /// more. The bias left at K/2 is about four times that at K.
  [[nodiscard]] double bias() const {
    const double by_halves = std::abs(corrected.value - of_halves),
                 by_correction = 0.5 * std::abs(corrected.value - plug_in.value);
    return by_halves < infinity<double> && by_halves > by_correction ? by_halves : by_correction;
  }
  /// A two-sided interval at `level`: `corrected ± (t·standard_error + bias + unseen)`, cut to the range, with Student's t. More
  /// prompts shorten the first part alone, more samples a prompt all three. It never has width 0. With one prompt, whose error
  /// over prompts is unknown, it is the whole range. Errors: `domain_error` unless `level` is in (0, 1).
  [[nodiscard]] confidence_interval interval(double level = 0.95) const {
    const estimate unbounded{corrected.value, corrected.standard_error, corrected.count};
    const confidence_interval sampled = unbounded.interval(level);
    constexpr double least = 1e-9;
    const double more = bias() + unseen + least;
    const auto cut = [&](double x) { return std::clamp(x, corrected.lowest, corrected.highest); };
    return {cut(std::min(sampled.low - more, corrected.highest - least)),
            cut(std::max(sampled.high + more, corrected.lowest + least))};
  }
};

struct off_policy_evaluation {
  off_policy_value kl;
  off_policy_value standard_win_rate;
  off_policy_value inference_win_rate;
  /// How many of a prompt's samples carry the policy: `(Σe)²/Σe²` of their tilts `e = e^{R/β}` (Kish 1965). At most K. Near 1
  /// the policy is nearly all on one sample, and its KL near the largest that K samples can show, `log K`. Below 1 the policy's
  /// mass lies between samples. Where samples tie and other prompts show a better level, or no prompt shows more than one, it is
  /// counted as if such a level had been sampled once more: eight samples of the same reward tell nothing of a better one.
  estimate effective_samples;
  index_t thin_prompts = 0;   ///< prompts with fewer than 4 effective samples
  index_t blind_prompts = 0;  ///< those of them that are thin because of a level that was not sampled
  index_t small_prompts = 0;  ///< prompts with fewer than four samples, which have no halves to compare
  index_t tied_prompts = 0;   ///< prompts with samples that tie; of raw rewards, all. The others differ in nothing but their K

  /// Whether intervals hold what they promise; `doubt` says why they may not.
  [[nodiscard]] bool reliable() const { return doubt().empty(); }
  /// Why the samples cannot say, or nothing. The first that is true of:
  /// - A prompt has fewer than four samples, so that its halves say nothing of the bias.
  /// - More than one prompt in twenty is thin. Whether most of those are blind is told apart.
  /// - There are fewer than twelve prompts, and samples tie. Without ties one prompt says as much as many.
  ///
  /// Take more samples a prompt, a larger β, or more prompts. Rewards known to be continuous have no levels that are missed: if
  /// none tie, a prediction for thin prompts holds all the same.
  [[nodiscard]] std::string_view doubt() const {
    if (small_prompts > 0) return "a prompt has fewer than four samples";
    if (20 * thin_prompts > effective_samples.count)
      return 2 * blind_prompts > thin_prompts ? "a better reward that was not sampled could hold much of the policy"
                                              : "too few samples where the policy would put its mass";
    return effective_samples.count < 12 && tied_prompts > 0 ? "fewer than twelve prompts" : "";
  }
};

/// Where the corrected values and effective sample sizes of P prompts go. An empty span is not written.
template <class Space = host_memory>
struct off_policy_prompts {
  using memory_space = Space;
  span<double, Space> kl{};
  span<double, Space> standard_win_rate{};
  span<double, Space> inference_win_rate{};
  span<double, Space> effective_samples{};
};

}  // namespace infalign
