// SPDX-License-Identifier: Apache-2.0
/// \file
/// What verl computes, under its names and with its defaults. Mirrors `verl/trainer/ppo/core_algos.py` at b178a3c (0.8.0.dev).
///
/// Differences. The means over responses divide by a count of tokens plus 1e-8 in verl, by the count here. GMPO's own mean divides by
/// `|y| + 1e-8` as well. The k3 estimate clamps its value, and its derivative is 0 there, in both.
/// `tests/objective/presets_test.cpp` compares with verl's own functions.
#pragma once

#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/whiten.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/presets/averaging.hpp"

namespace infalign::presets::verl {

inline constexpr const char* mirrored = "verl b178a3c (0.8.0.dev)";

/// `loss_agg_mode`.
enum class loss_agg_mode { token_mean, seq_mean_token_sum, seq_mean_token_mean, seq_mean_token_sum_norm };

/// How a mode averages. `loss_scale_factor` is used by `seq_mean_token_sum_norm` alone: by default in verl the length of padded responses.
INFALIGN_KEYED inline averaging average(loss_agg_mode mode, double loss_scale_factor = 0) {
  switch (mode) {
    case loss_agg_mode::seq_mean_token_sum: return {aggregation::sequence_mean_of_token_sums};
    case loss_agg_mode::seq_mean_token_mean: return {aggregation::sequence_mean_of_token_means};
    case loss_agg_mode::seq_mean_token_sum_norm:
      expects<domain_error>(loss_scale_factor > 0, "verl::average", "loss_scale_factor is ", loss_scale_factor,
                            ", must be positive for seq_mean_token_sum_norm");
      return {aggregation::token_mean, counted_responses::nonempty, loss_scale_factor};
    default: return {};
  }
}
/// Of `geo_mean`, which has no mode: the mean over all responses, those without a token too.
INFALIGN_KEYED inline averaging average_of_geo_mean() {
  return {aggregation::sequence_mean_of_token_means, counted_responses::all};
}

/// Policy losses, by the names of verl's registry. `sapo` and `gspo` average as `seq_mean_token_mean` whatever the mode is.
INFALIGN_KEYED inline clipped_surrogate vanilla(double clip_ratio_low = 0.2, double clip_ratio_high = 0.2,
                                                double clip_ratio_c = 3) {
  return {clip_ratio_low, clip_ratio_high, {.dual_clip = clip_ratio_c, .log_ratio = {-20, 20}}};
}
INFALIGN_KEYED inline infalign::gspo gspo(double clip_ratio_low = 0.2, double clip_ratio_high = 0.2) {
  return {clip_ratio_low, clip_ratio_high, {.log_ratio = {.high = 10}}};
}
INFALIGN_KEYED inline infalign::sapo sapo(double tau_pos = 1, double tau_neg = 1.05) {
  return infalign::sapo(tau_pos, tau_neg, {-20, 20});
}
INFALIGN_KEYED inline gmpo geo_mean(double clip_ratio_low = 0.2, double clip_ratio_high = 0.2) {
  return {clip_ratio_low, clip_ratio_high};
}
INFALIGN_KEYED inline infalign::cispo cispo(double clip_ratio_low = 0.2, double clip_ratio_high = 0.2) {
  return {1 - clip_ratio_low, 1 + clip_ratio_high, {-20, 20}};
}
INFALIGN_KEYED inline reinforce gpg() {
  return {};
}

/// `kl_loss_type`.
INFALIGN_KEYED inline kl_estimate k1() {
  return {kl_estimator::k1};
}
INFALIGN_KEYED inline kl_estimate abs() {
  return {kl_estimator::absolute};
}
INFALIGN_KEYED inline kl_estimate k2() {
  return {kl_estimator::k2};
}
/// `k3` and `low_var_kl`.
INFALIGN_KEYED inline kl_estimate k3() {
  return {kl_estimator::k3, 10, {-20, 20}};
}
/// The KL loss. `straight_through`: the names that end in `+`, with the gradient of k2.
INFALIGN_KEYED inline kl_term kl(const kl_estimate& type = k3(), double kl_loss_coef = 0.001, bool straight_through = false) {
  return {.beta = kl_weight(kl_loss_coef), .value = type, .gradient = straight_through ? k2() : type};
}

/// `grpo`. verl's one response is its own advantage over 1 + ε.
INFALIGN_KEYED inline group_normalized_options advantage() {
  return {.epsilon = 1e-6, .spread = deviation::bessel, .single = group_of_one::uncentred};
}
/// `grpo` without `norm_adv_by_std_in_grpo`, for `mean_centred_advantage`; `rloo`, for `leave_one_out_advantage`.
INFALIGN_KEYED inline group_options unscaled_advantage() {
  return {.single = group_of_one::uncentred};
}
/// The whitening of `reinforce_plus_plus` and of `gae`.
INFALIGN_KEYED inline whitening whitened() {
  return {};
}

}  // namespace infalign::presets::verl
