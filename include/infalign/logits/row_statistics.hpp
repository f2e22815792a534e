// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a whole row of logits says of its token and of its two policies.
#pragma once

#include <cmath>
#include <limits>

#include "infalign/logits/row_state.hpp"

namespace infalign {

/// The statistics of a row, as the gradient pass needs them: log-normalisers, the logits of the sampled token, exact KL and
/// entropy in nats. Trivially copyable. A log-normaliser is kept in two parts, as a difference from its shift is exact where one
/// from their sum is not.
struct row_statistics {
  double shift;       ///< a logit near the largest
  double log_sum;     ///< `log Σ exp(scale·(l_j - shift))`
  double base_shift;  ///< the same two of the base policy; 0 without one
  double base_log_sum;
  double token_logit;
  double token_base_logit;
  double kl;              ///< `KL(π‖π₀)`; 0 without a base policy
  double entropy;         ///< 0 unless asked for
  double mean_log_ratio;  ///< `Σ p_j·scale·[(l_j - shift) - (b_j - base_shift)]`; 0 without a base policy
  double mean_logit;      ///< `Σ p_j·scale·(l_j - shift)`; 0 unless the entropy was asked for
  double scale = 1;       ///< of the logits; those named here are not scaled yet
  [[nodiscard]] INFALIGN_HD double log_prob() const { return scale * (token_logit - shift) - log_sum; }
  [[nodiscard]] INFALIGN_HD double base_log_prob() const { return scale * (token_base_logit - base_shift) - base_log_sum; }
  /// `log Σ exp(scale·l_j)`
  [[nodiscard]] INFALIGN_HD double log_normalizer() const { return scale * shift + log_sum; }
};

namespace detail {

/// `H = log(1 + rest·e^-t) + Σ e^d·(t - d) / Σ e^d` with `t = scale·(top - shift)`: two sums of positive terms.
INFALIGN_HD inline void finish_entropy(const row_state& row, row_statistics& s) {
  using std::exp;
  using std::log1p;
  const entropy_sums& sums = row.entropy;
  const double t = row.scale * (sums.top - row.policy.shift);
  const double others = log1p(sums.rest * exp(-t));
  const double below_top = (t * sums.rest - sums.weighted) / row.policy.sum;
  const double entropy = others + below_top;
  s.entropy = entropy < 0 ? 0 : entropy;
  s.mean_logit = t - below_top;
}

/// `d - log(1 + d)` for `|d| <= 1/2`, without cancellation next to 0.
INFALIGN_HD inline double log1p_remainder(double d) {
  using std::log1p;
  if (d > 1.0 / 64 || d < -1.0 / 64) return d - log1p(d);
  return d * d * polynomial(d, 1.0 / 10, -1.0 / 9, 1.0 / 8, -1.0 / 7, 1.0 / 6, -1.0 / 5, 1.0 / 4, -1.0 / 3, 1.0 / 2);
}

/// With `M = Σ e^d·x / Σ e^d` and `D = Σ (e^d·e^x - e^d) / Σ e^d`: `KL = log(1 + D) - M`. `D - M` is the divergence, a mean of
/// terms of one sign, so for policies that are close to each other `KL = (D - M) - (D - log(1 + D))` is exact. If they are not,
/// the logarithm comes from the two sums.
INFALIGN_HD inline void finish_kl(const row_state& row, row_statistics& s) {
  using std::log;
  const double mean = row.weighted_ratio / row.policy.sum;
  const double apart = row.divergence / row.policy.sum;
  const double d = mean + apart;
  s.base_shift = row.base.shift;
  s.base_log_sum = log(row.base.sum);
  s.token_base_logit = row.token_base_logit;
  s.mean_log_ratio = row.scale * (row.centre - (row.policy.shift - s.base_shift)) - mean;
  const bool close = d >= -0.5 && d <= 0.5;
  const double kl = close ? apart - log1p_remainder(d) : s.mean_log_ratio + (s.base_log_sum - log(row.policy.sum));
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();  // nothing was read of the base policy
  s.kl = !(row.base.sum > 0) ? nan : kl < 0 ? 0 : kl;
}

}  // namespace detail

/// The statistics of a row from the state of all its columns. In none of the sums is a number as large as the logits may be. KL
/// and entropy are cut off at 0. `terms` must have been read.
///
/// `compute_token_statistics` states the errors.
INFALIGN_HD inline row_statistics statistics_of(const row_state& row, logit_terms terms) {
  using std::log;
  row_statistics s{row.policy.shift, log(row.policy.sum), 0, 0, row.token_logit, 0, 0, 0, 0, 0, row.scale};
  if (terms.kl) detail::finish_kl(row, s);
  if (terms.entropy) detail::finish_entropy(row, s);
  return s;
}

}  // namespace infalign
