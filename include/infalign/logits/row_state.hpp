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

/// The same as a type, so that what is not wanted costs nothing in a pass over logits. `Mapped`: whether a `logit_map` does anything.
template <bool Kl, bool Entropy, bool Mapped = false>
struct row_terms {
  static constexpr bool mapped = Mapped;
  static constexpr bool kl = Kl;
  static constexpr bool entropy = Entropy;
  static constexpr logit_terms value{Kl, Entropy};
};
/// The terms of a row whose logits are mapped. An entropy costs little beside the map, so what is compiled does not depend on it.
template <class Terms>
using mapped_terms = row_terms<Terms::kl, true, true>;

/// `sum = Σ exp(scale·(l_j - shift))`. The shift follows the largest logit at a distance, so that the exponentials can neither overflow
/// nor all vanish. It is one of the logits, so that differences from it are as exact as the logits are.
struct shifted_sum {
  double shift = -infinity<double>;
  double sum = 0;

  /// Raises the shift to `maximum` and returns the factor by which everything summed so far shrinks.
  INFALIGN_HD double raise_to(double maximum, double scale) {
    if (maximum <= shift) return 1;  // a NaN passes on into shift and sum
    using std::exp;
    const double factor = exp(scale * (shift - maximum));
    shift = maximum;
    sum *= factor;
    return factor;
  }
  /// The shift, or 0 while everything so far is masked, so that differences from it are finite.
  [[nodiscard]] INFALIGN_HD double origin() const { return shift > -infinity<double> ? shift : 0; }
  /// Whether `e^(scale·(top - shift))` is so large that a sum of such terms could leave the range of `float`.
  [[nodiscard]] INFALIGN_HD bool is_far_below(double top, double scale) const { return scale * (top - shift) > 32; }
};

/// The sums of an entropy. The largest logit stands apart: next to its probability, those of a policy that is nearly certain of
/// one token would vanish in rounding. With `d = scale·(l - shift)`:
struct entropy_sums {
  double top = -infinity<double>;  ///< the largest logit
  double rest = 0;                 ///< `Σ e^d` over all columns but that one
  double weighted = 0;             ///< `Σ e^d·d` over the same columns

  /// Adds sums of other columns with the same shift. The smaller of the two largest logits joins the rest.
  INFALIGN_HD void add(const entropy_sums& other, double shift, double scale) {
    using std::exp;
    const double second = top < other.top ? top : other.top;
    const double d = scale * (second - shift);
    const double mass = second > -infinity<double> ? exp(d) : 0;
    rest += other.rest + mass;
    weighted += other.weighted + (mass > 0 ? mass * d : 0);
    top = detail::max(top, other.top);
  }
};

/// The partial state of a row: sums over the columns read so far. In them `d = scale·(l - policy.shift)` for the
/// logits `l` of the policy, and `x = scale·((b - l) + centre)` for the logits `b` of the base policy. Up to a constant, `x` is
/// `log q - log p`. Shifts and centre are of the logits before they are scaled, as their differences are exact.
///
/// For policies that are close to each other, `x` is small, and the KL is a sum of small terms of one sign: nothing cancels. That
/// is what `centre` is for. It is chosen when a row is read, and any value of it is correct.
///
/// `merge` is associative and commutative up to rounding, and a fresh state is its neutral element. The type is trivially
/// copyable: ranks that hold shards of the vocabulary exchange these few doubles a token.
struct row_state {
  shifted_sum policy;
  shifted_sum base;
  entropy_sums entropy;
  double centre = 0;
  double weighted_ratio = 0;  ///< `Σ e^d·x`
  /// `Σ e^d·(e^x - 1 - x)`, in which a column without mass in the policy counts with its mass in the base, `e^d·e^x`.
  double divergence = 0;
  double token_logit = -infinity<double>;  ///< of the sampled token, if it is among the columns read
  double token_base_logit = -infinity<double>;
  double scale = 1;  ///< the inverse of the temperature

  /// Whether some column read so far has mass in the policy.
  [[nodiscard]] INFALIGN_HD bool has_mass() const { return policy.shift > -infinity<double>; }
  /// `e^d·e^x / e^(b - base.shift)`, which is the same for all columns.
  [[nodiscard]] INFALIGN_HD double base_scale() const {
    using std::exp;
    return exp(scale * (base.origin() - policy.origin() + centre));
  }

  /// Raises both shifts. Every sum so far changes, as `d` is measured from the shift.
  INFALIGN_HD void raise_to(double maximum, double base_maximum) {
    const bool had_mass = has_mass();
    const double before = policy.origin();
    const double factor = policy.raise_to(maximum, scale);
    base.raise_to(base_maximum, scale);
    entropy.rest *= factor;
    entropy.weighted = factor * entropy.weighted + entropy.rest * (scale * (before - policy.origin()));
    if (factor != 1) {
      weighted_ratio = factor > 0 ? factor * weighted_ratio : 0;  // both may be infinite
      divergence = factor > 0 ? factor * divergence : 0;
    }
    // Until now there was no `e^d` to measure the base by, or it was so small that the divergence left its range.
    const bool is_lost = !had_mass || factor == 0 || !(divergence - divergence == 0);
    if (is_lost && has_mass() && base.sum > 0) divergence = base.sum * base_scale() - policy.sum - weighted_ratio;
  }

  /// Measures `x` from another centre.
  INFALIGN_HD void recentre(double to) {
    using std::abs;
    using std::exp;
    using std::expm1;
    const double moved = scale * (to - centre);
    centre = to;
    if (moved == 0 || !has_mass()) return;
    const double growth = expm1(moved);
    const double grown = exp(moved) * divergence, of_ratio = growth * weighted_ratio, of_mass = (growth - moved) * policy.sum;
    weighted_ratio += moved * policy.sum;
    divergence = grown + of_ratio + of_mass;
    // After a long way, what the base has where the policy has next to nothing would be a small rest of large numbers, or be out of
    // range. The sums themselves still know it. After a short one, they would be the large numbers.
    const double of_base = base.sum * base_scale();
    if (!(abs(grown) + abs(of_ratio) + abs(of_mass) <= of_base + policy.sum + abs(weighted_ratio)))
      divergence = of_base - policy.sum - weighted_ratio;
  }

  /// Adds what was read of other columns of the same row, which were scaled alike.
  INFALIGN_HD void merge(row_state other) {
    if (!has_mass() && !(base.sum > 0)) scale = other.scale;
    if (has_mass())
      other.recentre(centre);
    else
      recentre(other.centre);
    const double top = detail::max(policy.shift, other.policy.shift);
    const double base_top = detail::max(base.shift, other.base.shift);
    raise_to(top, base_top);
    other.raise_to(top, base_top);
    policy.sum += other.policy.sum;
    base.sum += other.base.sum;
    entropy.add(other.entropy, policy.origin(), scale);
    weighted_ratio += other.weighted_ratio;
    divergence += other.divergence;
    token_logit = detail::max(token_logit, other.token_logit);
    token_base_logit = detail::max(token_base_logit, other.token_base_logit);
  }
};

}  // namespace infalign
