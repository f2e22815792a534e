// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a whole row of logits says of its token and of its two policies.
#pragma once

#include <cmath>
#include <limits>

#include "infalign/logits/row_state.hpp"

namespace infalign {

/// The statistics of a row, as the gradient pass needs them: log-normalisers, the logits of the sampled token, exact KL and
/// entropy in nats. Trivially copyable.
struct row_statistics {
  double log_normalizer;       ///< `log Σ exp(l_j)`
  double base_log_normalizer;  ///< the same of the base policy; 0 without one
  double token_logit;
  double token_base_logit;
  double kl;       ///< `KL(π‖π₀)`; 0 without a base policy
  double entropy;  ///< 0 unless asked for
  [[nodiscard]] INFALIGN_HD double log_prob() const { return token_logit - log_normalizer; }
  [[nodiscard]] INFALIGN_HD double base_log_prob() const { return token_base_logit - base_log_normalizer; }
};

/// The statistics of a row from the state of all its columns. With `d` and `c` of `row_state`: `log Z = shift + log Σe^d`,
/// `entropy = log Σe^d - Σ e^d·d / Σe^d`, `KL = Σ e^d·(d - c) / Σe^d - (log Σe^d - log Σe^c)`. In the last two no number is as
/// large as the logits may be. KL and entropy are cut off at 0. `terms` must have been read.
INFALIGN_HD inline row_statistics statistics_of(const row_state& row, logit_terms terms) {
  using std::log;
  const double log_sum = log(row.policy.sum);
  row_statistics s{row.policy.shift + log_sum, 0, row.token_logit, 0, 0, 0};
  if (terms.entropy) {
    const double entropy = log_sum - row.weighted_logit / row.policy.sum;
    s.entropy = entropy < 0 ? 0 : entropy;
  }
  if (terms.kl) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();  // nothing was read of the base policy
    const double base_log_sum = log(row.base.sum);
    s.base_log_normalizer = row.base.shift + base_log_sum;
    s.token_base_logit = row.token_base_logit;
    const double kl = row.base.sum > 0 ? row.weighted_ratio / row.policy.sum - (log_sum - base_log_sum) : nan;
    s.kl = kl < 0 ? 0 : kl;
  }
  return s;
}

}  // namespace infalign
