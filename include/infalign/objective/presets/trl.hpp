// SPDX-License-Identifier: Apache-2.0
/// \file
/// What TRL computes, under its names and with its defaults. Mirrors TRL 1.16.0 (`GRPOTrainer`, `RLOOTrainer`, `DPOTrainer`).
///
/// \code
/// namespace trl = infalign::presets::trl;
/// const auto loss = with_kl(trl::grpo(), trl::kl(0.04));
/// averaged_weights(on, mask, trl::average(trl::loss_type::dapo), whole, weights);
/// group_normalized_advantage(on, rewards, advantages, trl::advantage());
/// \endcode
///
/// Differences. Fully masked responses count in the mean over responses, as in TRL. For a log-ratio beyond 88 in `float`, TRL's ratio and
/// k3 are infinite and their gradients may be NaN; here they stay finite (`largest_loss`). k3 times the ratio of a whole response, which
/// TRL's `use_bias_correction_kl` takes at `importance_sampling_level="sequence"`, is not offered (see `with_kl`).
/// `tests/objective/presets_test.cpp` compares with TRL's own functions.
#pragma once

#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/preferences.hpp"
#include "infalign/objective/presets/averaging.hpp"

namespace infalign::presets::trl {

inline constexpr const char* mirrored = "TRL 1.16.0";

/// `GRPOConfig.loss_type`.
enum class loss_type { grpo, bnpo, dr_grpo, dapo, luspo, cispo, sapo, vespo };

/// How `loss_type` averages. `responses` and `max_completion_length` are used by `dr_grpo` alone: those of the batch. `bnpo` takes the
/// counts of the micro-batch, the others those of the whole batch.
INFALIGN_KEYED inline averaging average(loss_type type, index_t responses = 0, index_t max_completion_length = 0) {
  constexpr auto all = counted_responses::all;
  switch (type) {
    case loss_type::grpo:
    case loss_type::sapo: return {aggregation::sequence_mean_of_token_means, all};
    case loss_type::luspo: return {aggregation::sequence_mean_of_token_sums, all};
    case loss_type::dr_grpo: {
      const double divisor = static_cast<double>(responses) * static_cast<double>(max_completion_length);
      expects<domain_error>(divisor > 0, "trl::average", "responses times max_completion_length is ", divisor,
                            ", must be positive for dr_grpo");
      return {aggregation::token_mean, all, divisor};
    }
    default: return {aggregation::token_mean, all};
  }
}

/// The loss of `grpo`, `bnpo`, `dr_grpo` and `dapo` at `importance_sampling_level="token"`.
INFALIGN_KEYED inline clipped_surrogate grpo(double epsilon, double epsilon_high, double delta = infinity<double>) {
  return {epsilon, epsilon_high, {.delta = delta}};
}
/// Without `epsilon_high`, it is `epsilon`.
INFALIGN_KEYED inline clipped_surrogate grpo(double epsilon = 0.2) {
  return grpo(epsilon, epsilon);
}
/// The same at `importance_sampling_level="sequence"`, which is GSPO, and LUSPO by its average.
INFALIGN_KEYED inline infalign::gspo gspo(double epsilon, double epsilon_high, double delta = infinity<double>) {
  return {epsilon, epsilon_high, {.delta = delta}};
}
INFALIGN_KEYED inline infalign::gspo gspo(double epsilon = 0.2) {
  return gspo(epsilon, epsilon);
}
/// `epsilon_high` is the bound itself; TRL's documentation recommends 5.
INFALIGN_KEYED inline infalign::cispo cispo(double epsilon_high = 5) {
  return {0, epsilon_high};
}
INFALIGN_KEYED inline infalign::sapo sapo(double temperature_pos = 1, double temperature_neg = 1.05) {
  return infalign::sapo(temperature_pos, temperature_neg);
}
INFALIGN_KEYED inline infalign::vespo vespo() {
  return infalign::vespo({2, 3}, {3, 2});
}
/// `RLOOTrainer`: the ratio of summed log-probabilities. Average as `loss_type::grpo`.
INFALIGN_KEYED inline response_surrogate rloo(double epsilon, double epsilon_high) {
  return {epsilon, epsilon_high};
}
INFALIGN_KEYED inline response_surrogate rloo(double epsilon = 0.2) {
  return rloo(epsilon, epsilon);
}

/// The KL term of `GRPOTrainer`, whose β is 0 by default: k3 without clamps, times the ratio if `use_bias_correction_kl`.
INFALIGN_KEYED inline kl_term kl(double beta, bool use_bias_correction_kl = true) {
  return {.beta = kl_weight(beta), .importance = use_bias_correction_kl ? kl_importance::ratio : kl_importance::none};
}

/// `GRPOTrainer` with `scale_rewards="group"`. Rows that no reward function scored, NaN, get 0.
INFALIGN_KEYED inline group_normalized_options advantage() {
  return {1e-4, deviation::bessel, group_of_one::zero, missing_reward::left_out()};
}
/// `GRPOTrainer` with `scale_rewards="none"`, for `mean_centred_advantage`; `RLOOTrainer`, for `leave_one_out_advantage`.
INFALIGN_KEYED inline group_options unscaled_advantage() {
  return {group_of_one::zero, missing_reward::left_out()};
}

/// `DPOConfig.loss_type`, with its β.
INFALIGN_KEYED inline infalign::dpo dpo(double beta = 0.1) {
  return infalign::dpo(kl_weight(beta));
}
INFALIGN_KEYED inline preference_hinge hinge(double beta = 0.1) {
  return preference_hinge(kl_weight(beta));
}
INFALIGN_KEYED inline robust_dpo robust(double label_smoothing, double beta = 0.1) {
  return {kl_weight(beta), label_smoothing};
}
INFALIGN_KEYED inline infalign::ipo ipo(double beta = 0.1) {
  return infalign::ipo(kl_weight(beta), log_ratio_of::token);
}
INFALIGN_KEYED inline infalign::sppo_hard sppo_hard(double beta = 0.1) {
  return infalign::sppo_hard(kl_weight(beta));
}

}  // namespace infalign::presets::trl
