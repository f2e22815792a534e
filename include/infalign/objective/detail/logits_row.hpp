// SPDX-License-Identifier: Apache-2.0
/// \file
/// The two passes over one row of logits: statistics, and the gradient that follows from them.
#pragma once

#include <cmath>
#include <cstdint>

#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// Which terms a pass computes, as a type: what is not wanted costs nothing.
template <bool Kl, bool Entropy>
struct row_terms {
  static constexpr bool kl = Kl;
  static constexpr bool entropy = Entropy;
};

/// What the gradient of a row needs to know of it, in every lane.
struct row_statistics {
  double log_normalizer;       ///< log Σ exp(l_j)
  double base_log_normalizer;  ///< the same of the base
  double token_logit;
  double token_base_logit;
  double kl;
  double entropy;
  [[nodiscard]] INFALIGN_HD double log_prob() const { return token_logit - log_normalizer; }
};

struct no_policy_loss {
  INFALIGN_HD double loss(double, double, index_t) const { return 0; }
};

/// Σ exp(l_j - shift) with a shift that follows the maximum from chunk to chunk.
struct running_sum {
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
  /// The shift, or 0 while everything so far is masked: something finite to measure from.
  [[nodiscard]] INFALIGN_HD double origin() const { return shift > -infinity<double> ? shift : 0; }
};

template <class T, class Team, class L>
INFALIGN_HD double chunk_maximum(Team& team, const L* values, index_t n) {
  using V = typename Team::template vec<T>;
  V top[4] = {V(-infinity<T>), V(-infinity<T>), V(-infinity<T>), V(-infinity<T>)};
  team.template loop<T, 4>(n, [&](auto at, auto k) { top[k] = max(top[k], at.load(values, -infinity<T>)); });
  return team.maximum(max(max(top[0], top[1]), max(top[2], top[3])));
}

template <class T, class Team, class L>
INFALIGN_HD double chunk_exponentials(Team& team, const L* values, index_t n, double shift) {
  using V = typename Team::template vec<T>;
  using std::exp;
  const V top = constant<V>(shift);
  V sum[2] = {V(0), V(0)};
  team.template loop<T, 2>(n, [&](auto at, auto k) { sum[k] = sum[k] + V(exp(at.load(values, -infinity<T>) - top)); });
  return team.sum(sum[0] + sum[1]);
}

/// Adds a chunk to the sums of the policy. Where e^d is 0 (masked, or far below the maximum) there is nothing to add, and
/// 0·(-inf) must not be formed.
template <class Terms, class T, class Team, class L>
INFALIGN_HD void add_chunk(Team& team, const L* row, const L* base, index_t n, running_sum& policy, double base_origin,
                           double& weighted_logit, double& weighted_ratio) {
  using V = typename Team::template vec<T>;
  using std::exp;
  const V top = constant<V>(policy.shift);
  [[maybe_unused]] const V base_top = constant<V>(base_origin);
  V sum[2] = {V(0), V(0)};
  V logit[2] = {V(0), V(0)};
  V ratio[2] = {V(0), V(0)};
  team.template loop<T, 2>(n, [&](auto at, auto k) {
    const V l = at.load(row, -infinity<T>);
    const V d = l - top;
    const V e = exp(d);
    [[maybe_unused]] const auto present = e > V(0);
    sum[k] = sum[k] + e;
    if constexpr (Terms::entropy) logit[k] = at.add_where(logit[k], present, e * d);
    if constexpr (Terms::kl) ratio[k] = at.add_where(ratio[k], present, e * (d - (at.load(base, -infinity<T>) - base_top)));
  });
  policy.sum += team.sum(sum[0] + sum[1]);
  if constexpr (Terms::entropy) weighted_logit += team.sum(logit[0] + logit[1]);
  if constexpr (Terms::kl) weighted_ratio += team.sum(ratio[0] + ratio[1]);
}

template <class Terms, class L>
INFALIGN_HD row_statistics finish_row(const L* row, const L* base, std::int32_t token, const running_sum& policy,
                                      const running_sum& reference, double weighted_logit, double weighted_ratio) {
  using std::log;
  const double log_sum = log(policy.sum);
  row_statistics s{policy.shift + log_sum, 0, static_cast<double>(row[token]), 0, 0, 0};
  if constexpr (Terms::entropy) {
    const double entropy = log_sum - weighted_logit / policy.sum;
    s.entropy = entropy < 0 ? 0 : entropy;
  }
  if constexpr (Terms::kl) {
    const double base_log_sum = log(reference.sum);
    s.base_log_normalizer = reference.shift + base_log_sum;
    s.token_base_logit = static_cast<double>(base[token]);
    const double kl = weighted_ratio / policy.sum - (log_sum - base_log_sum);
    s.kl = kl < 0 ? 0 : kl;
  }
  return s;
}

/// Statistics of a row, in chunks: first the maximum of the chunk, then its exponentials while it is still in cache.
/// With d = l - shift and c = b - base shift: log Z = shift + log Σe^d, entropy = log Σe^d - Σ e^d·d / Σe^d, and
/// KL = Σ e^d·(d - c) / Σe^d - (log Σe^d - log Σe^c), in which no number is as large as the logits may be.
template <class Terms, class Team, class L>
INFALIGN_HD row_statistics read_row(Team& team, const L* row, const L* base, index_t columns, std::int32_t token) {
  using T = compute_t<L>;
  constexpr index_t chunk = Team::template chunk<T>();
  running_sum policy;
  running_sum reference;
  double weighted_logit = 0;  // Σ e^d·d
  double weighted_ratio = 0;  // Σ e^d·(d - c)
  for (index_t begin = 0; begin < columns; begin += chunk) {
    const index_t n = columns - begin < chunk ? columns - begin : chunk;
    const double before = policy.origin();
    const double base_before = reference.origin();
    const double factor = policy.raise_to(chunk_maximum<T>(team, row + begin, n));
    if constexpr (Terms::kl) reference.raise_to(chunk_maximum<T>(team, base + begin, n));
    // d and c are measured from the shifts, so raising those changes d and c in every term summed so far.
    const double moved = before - policy.origin();
    const double base_moved = base_before - reference.origin();
    weighted_logit = factor * weighted_logit + policy.sum * moved;
    weighted_ratio = (factor > 0 ? factor * weighted_ratio : 0) + policy.sum * (moved - base_moved);  // it may be infinite
    if (policy.shift > -infinity<double>)
      add_chunk<Terms, T>(team, row + begin, Terms::kl ? base + begin : nullptr, n, policy, reference.origin(), weighted_logit,
                          weighted_ratio);
    if constexpr (Terms::kl)
      if (reference.shift > -infinity<double>) reference.sum += chunk_exponentials<T>(team, base + begin, n, reference.shift);
  }
  return finish_row<Terms>(row, base, token, policy, reference, weighted_logit, weighted_ratio);
}

/// Coefficients of the gradient of one row, for the loss `-w·log π(a) + β·KL - η·H`:
/// `dL/dl_j = p_j·[w + β·(log p_j - log q_j - KL) + η·(log p_j + H)] - w·1{j = a}`.
struct row_gradient {
  double score;    ///< w
  double kl;       ///< β
  double entropy;  ///< η
};

/// `x - c` as if `c` were not rounded to the precision of the value type: for logits far from 0 that rounding alone would be
/// larger than the error allowed in the difference.
template <class V>
INFALIGN_HD V minus(V x, double c) {
  const auto high = static_cast<typename lane<V>::type>(c);
  return (x - V(high)) - constant<V>(c - static_cast<double>(high));
}

/// Everything but the term of the sampled token, for a scalar or a batch of logits. Where p is 0 the gradient is 0, whatever
/// the logarithms are; where it is NaN, NaN.
template <class Terms, class V>
INFALIGN_HD V gradient_at(V logit, V base_logit, const row_statistics& s, const row_gradient& c) {
  using std::exp;
  const V log_p = minus(logit, s.log_normalizer);
  const V p = exp(log_p);
  V factor = constant<V>(c.score);
  if constexpr (Terms::entropy) factor = factor + constant<V>(c.entropy) * (log_p + constant<V>(s.entropy));
  if constexpr (Terms::kl)
    factor = factor + constant<V>(c.kl) * (log_p - minus(base_logit, s.base_log_normalizer) - constant<V>(s.kl));
  return Terms::entropy || Terms::kl ? select(p <= V(0), V(0), p * factor) : p * factor;
}

template <class Terms, class Team, class L, class G>
INFALIGN_HD void write_gradient_row(Team& team, const L* row, const L* base, index_t columns, std::int32_t token,
                                    const row_statistics& s, const row_gradient& c, G* gradient) {
  using T = compute_t<L>;
  using V = typename Team::template vec<T>;
  team.template loop<T>(columns, [&](auto at, auto) {
    V b(0);
    if constexpr (Terms::kl) b = at.load(base);
    at.store(gradient, gradient_at<Terms>(at.load(row), b, s, c));
  });
  // The sampled token anew from its saved logit: rounded once, also where the gradient is stored in 16 bits.
  team.once([&] {
    const double rest = gradient_at<Terms>(s.token_logit, s.token_base_logit, s, c);
    gradient[token] = static_cast<G>(static_cast<compute_t<G>>(rest - c.score));
  });
}

/// Writes the gradient of a row; `gradient` may be `row`. Without KL weight the base is not touched: an infinite KL must not
/// turn into 0·inf.
template <class Terms, class Team, class L, class G>
INFALIGN_HD void write_gradient(Team& team, const L* row, const L* base, index_t columns, std::int32_t token,
                                const row_statistics& s, const row_gradient& c, G* gradient) {
  if (Terms::kl && c.kl != 0)
    write_gradient_row<Terms>(team, row, base, columns, token, s, c, gradient);
  else
    write_gradient_row<row_terms<false, Terms::entropy>>(team, row, base, columns, token, s, c, gradient);
}

}  // namespace infalign::detail
