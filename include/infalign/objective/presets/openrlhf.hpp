// SPDX-License-Identifier: Apache-2.0
/// \file
/// What OpenRLHF computes, under its names and with its defaults. Mirrors OpenRLHF 0.11.0 (`openrlhf/models/loss.py`).
///
/// Differences. A k3 estimate that overflows before its clamp has a gradient of NaN in OpenRLHF, of 0 here. The correction `seq-mask-tis`,
/// a mask by the mean of a response with weights of tokens, is not offered.
/// `tests/objective/presets_test.cpp` compares with OpenRLHF's own classes.
#pragma once

#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/whiten.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/preferences.hpp"
#include "infalign/objective/presets/averaging.hpp"

namespace infalign::presets::openrlhf {

inline constexpr const char* mirrored = "OpenRLHF 0.11.0";

/// `token_level_loss`: over tokens, or over the means of responses that have a token. GSPO has the second.
INFALIGN_KEYED inline averaging average(bool token_level_loss = true) {
  return {token_level_loss ? aggregation::token_mean : aggregation::sequence_mean_of_token_means};
}

/// `PolicyLoss`.
INFALIGN_KEYED inline clipped_surrogate ppo(double eps_clip_low = 0.2, double eps_clip_high = 0.2,
                                            double dual_clip = infinity<double>) {
  return {eps_clip_low, eps_clip_high, {.dual_clip = dual_clip, .log_ratio = {-20, 20}}};
}
INFALIGN_KEYED inline infalign::gspo gspo(double eps_clip_low = 0.2, double eps_clip_high = 0.2) {
  return {eps_clip_low, eps_clip_high};
}

/// `vllm_is_correction_type`, for `importance_weights`: truncated, or masked outside the thresholds.
INFALIGN_KEYED inline importance_weight tis(double low_threshold, double high_threshold) {
  return {weight_rule::truncate, high_threshold, low_threshold};
}
INFALIGN_KEYED inline importance_weight icepop(double low_threshold, double high_threshold) {
  return {weight_rule::mask, high_threshold, low_threshold};
}

/// `kl.estimator` by its name, clamped as OpenRLHF does, and the KL loss with its default weight.
INFALIGN_KEYED inline kl_estimate estimator(kl_estimator which) {
  return {which, 10};
}
INFALIGN_KEYED inline kl_term kl(kl_estimator which = kl_estimator::k1, double init_coef = 0.01) {
  return {.beta = kl_weight(init_coef), .value = estimator(which)};
}

/// `group_norm`. A group of one has no deviation: it is refused.
INFALIGN_KEYED inline group_normalized_options advantage() {
  return {.epsilon = 1e-9, .spread = deviation::bessel};
}
/// The whitening of `reinforce`, `reinforce_baseline` and `gae`.
INFALIGN_KEYED inline whitening whitened() {
  return {.spread = deviation::population, .floor = variance_floor::clamped, .epsilon = 1e-8};
}

/// `DPOLoss`: with `label_smoothing`, and with `ipo`, which sums over tokens.
INFALIGN_KEYED inline conservative_dpo dpo(double beta = 0.1, double label_smoothing = 0) {
  return {kl_weight(beta), label_smoothing};
}
INFALIGN_KEYED inline infalign::ipo ipo(double beta = 0.1) {
  return infalign::ipo(kl_weight(beta));
}

}  // namespace infalign::presets::openrlhf
