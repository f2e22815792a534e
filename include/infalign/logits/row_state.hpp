// SPDX-License-Identifier: Apache-2.0
/// \file
/// The state of one row of logits, as a value that merges. Parts of a row (chunks, shards of the vocabulary) may be read
/// separately and put together in any order.
#pragma once

#include <cmath>

#include "infalign/core/math.hpp"

namespace infalign {

/// What is wanted of a row besides its log-normaliser.
struct logit_terms {
  bool kl = false;  ///< needs a base policy
  bool entropy = false;
};

/// The same as a type, so that what is not wanted costs nothing in a pass over logits.
template <bool Kl, bool Entropy>
struct row_terms {
  static constexpr bool kl = Kl;
  static constexpr bool entropy = Entropy;
  static constexpr logit_terms value{Kl, Entropy};
};

/// `sum = Σ exp(l_j - shift)`. The shift follows the largest logit at a distance, so that the exponentials can neither overflow
/// nor all vanish.
struct shifted_sum {
  double shift = -infinity<double>;
  double sum = 0;

  /// Raises the shift to `maximum` and returns the factor by which everything summed so far shrinks.
  INFALIGN_HD double raise_to(double maximum) {
    if (maximum <= shift) return 1;  // a NaN passes on into shift and sum
    using std::exp;
    const double factor = exp(shift - maximum);
    shift = maximum;
    sum *= factor;
    return factor;
  }
  /// The shift, or 0 while everything so far is masked, so that differences from it are finite.
  [[nodiscard]] INFALIGN_HD double origin() const { return shift > -infinity<double> ? shift : 0; }
  /// Whether `e^(top - shift)` is so large that a sum of such terms could leave the range of `float`.
  [[nodiscard]] INFALIGN_HD bool is_far_below(double top) const { return top > shift + 32; }
};

/// The partial state of a row: sums over the columns read so far. In them `d = l - policy.shift` and `c = b - base.shift`, for
/// the logits `l` of the policy and `b` of the base policy.
///
/// `merge` is associative and commutative up to rounding, and a fresh state is its neutral element. The type is trivially
/// copyable: ranks that hold shards of the vocabulary exchange these few doubles a token.
struct row_state {
  shifted_sum policy;
  shifted_sum base;
  double weighted_logit = 0;               ///< `Σ e^d·d`, for the entropy
  double weighted_ratio = 0;               ///< `Σ e^d·(d - c)`, for the KL
  double token_logit = -infinity<double>;  ///< of the sampled token, if it is among the columns read
  double token_base_logit = -infinity<double>;

  /// Raises both shifts. Every sum so far changes, as `d` and `c` are measured from the shifts.
  INFALIGN_HD void raise_to(double maximum, double base_maximum) {
    const double before = policy.origin();
    const double base_before = base.origin();
    const double factor = policy.raise_to(maximum);
    base.raise_to(base_maximum);
    const double moved = before - policy.origin();
    const double base_moved = base_before - base.origin();
    weighted_logit = factor * weighted_logit + policy.sum * moved;
    weighted_ratio = (factor > 0 ? factor * weighted_ratio : 0) + policy.sum * (moved - base_moved);  // it may be infinite
  }

  /// Adds what was read of other columns of the same row.
  INFALIGN_HD void merge(row_state other) {
    const double top = detail::max(policy.shift, other.policy.shift);
    const double base_top = detail::max(base.shift, other.base.shift);
    raise_to(top, base_top);
    other.raise_to(top, base_top);
    policy.sum += other.policy.sum;
    base.sum += other.base.sum;
    weighted_logit += other.weighted_logit;
    weighted_ratio += other.weighted_ratio;
    token_logit = detail::max(token_logit, other.token_logit);
    token_base_logit = detail::max(token_base_logit, other.token_base_logit);
  }
};

}  // namespace infalign
