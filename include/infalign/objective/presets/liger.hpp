// SPDX-License-Identifier: Apache-2.0
/// \file
/// What Liger's fused losses compute, under their names and with their defaults. Mirrors Liger-Kernel 0.8.5
/// (`liger_kernel/chunked_loss/grpo_loss.py`), which follows TRL; its defaults are its own: `dapo`, β = 0.04, no bias
/// correction, and an `epsilon_high` of 0.2 that does not follow `epsilon_low`. The bound of `cispo` is TRL's 5; Liger takes its `epsilon_high`.
///
/// Differences. LUSPO in Liger multiplies by the length of a response after adding the KL, and takes the mean over columns as well:
/// with losses of responses it is TRL's. What `presets/trl.hpp` says of overflow holds here too.
/// `tests/objective/presets_test.cpp` compares with Liger's own function.
#pragma once

#include "infalign/objective/presets/trl.hpp"

namespace infalign::presets::liger {

inline constexpr const char* mirrored = "Liger-Kernel 0.8.5";

using trl::average;
using trl::cispo;
using trl::loss_type;
using trl::sapo;
using trl::vespo;

/// `epsilon_low` and `epsilon_high` are two defaults of 0.2 in Liger: one given leaves the other as it is.
INFALIGN_KEYED inline clipped_surrogate grpo(double epsilon_low = 0.2, double epsilon_high = 0.2,
                                             double delta = infinity<double>) {
  return trl::grpo(epsilon_low, epsilon_high, delta);
}
INFALIGN_KEYED inline infalign::gspo gspo(double epsilon_low = 0.2, double epsilon_high = 0.2,
                                          double delta = infinity<double>) {
  return trl::gspo(epsilon_low, epsilon_high, delta);
}
/// The KL term, k3 without clamps.
INFALIGN_KEYED inline kl_term kl(double beta = 0.04, bool use_bias_correction_kl = false) {
  return trl::kl(beta, use_bias_correction_kl);
}
/// `LigerFusedLinearDPOLoss`.
INFALIGN_KEYED inline infalign::dpo dpo(double beta = 0.1) {
  return trl::dpo(beta);
}

}  // namespace infalign::presets::liger
