// SPDX-License-Identifier: Apache-2.0
/// \file
/// What Liger's fused losses compute, under their names and with their defaults. Mirrors Liger-Kernel 0.8.5
/// (`liger_kernel/chunked_loss/grpo_loss.py`), which follows TRL; its defaults are its own: `dapo`, β = 0.04, no bias correction.
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
using trl::grpo;
using trl::gspo;
using trl::loss_type;
using trl::sapo;
using trl::vespo;

/// The KL term, k3 without clamps.
INFALIGN_KEYED inline kl_term kl(double beta = 0.04, bool use_bias_correction_kl = false) {
  return trl::kl(beta, use_bias_correction_kl);
}
/// `LigerFusedLinearDPOLoss`.
INFALIGN_KEYED inline infalign::dpo dpo(double beta = 0.1) {
  return trl::dpo(beta);
}

}  // namespace infalign::presets::liger
