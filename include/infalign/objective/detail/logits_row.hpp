// SPDX-License-Identifier: Apache-2.0
/// \file
/// The two passes over one row of logits: statistics, and the gradient that follows from them.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>

#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/logits/tuning.hpp"

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

/// Σ exp(l_j - shift) with a shift that follows the maximum at a distance.
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
  /// Whether e^(top - shift) is so large that a sum of such terms could leave the range of `float`.
  [[nodiscard]] INFALIGN_HD bool is_far_below(double top) const { return top > shift + 32; }
};

/// The sums over a row, with d = l - shift and c = b - base shift.
struct row_sums {
  running_sum policy;
  running_sum reference;
  double weighted_logit = 0;  ///< Σ e^d·d
  double weighted_ratio = 0;  ///< Σ e^d·(d - c)

  /// d and c are measured from the shifts, so raising those changes d and c in every term summed so far.
  INFALIGN_HD void raise_to(double maximum, double base_maximum) {
    const double before = policy.origin();
    const double base_before = reference.origin();
    const double factor = policy.raise_to(maximum);
    reference.raise_to(base_maximum);
    const double moved = before - policy.origin();
    const double base_moved = base_before - reference.origin();
    weighted_logit = factor * weighted_logit + policy.sum * moved;
    weighted_ratio = (factor > 0 ? factor * weighted_ratio : 0) + policy.sum * (moved - base_moved);  // it may be infinite
  }
};

/// Exponentials of a row, left by the first pass for the second: `values[j] = exp(l_j - origin)`, or null for none.
template <class T>
struct kept_exponentials {
  T* values = nullptr;
  double origin = 0;
};

/// Room for them in the row of the gradient, if its type holds them unrounded, the team prefers reading them back to computing
/// them again, and the logits do not lie there themselves.
template <class Team, class L, class G>
INFALIGN_HD kept_exponentials<compute_t<L>> room_for_exponentials(const L* row, G* gradient) {
  if constexpr (keeps_exponentials<Team> && std::same_as<G, compute_t<L>>)
    if (static_cast<const void*>(row) != gradient) return {gradient};
  return {};
}

template <class T, class Team, class L>
INFALIGN_HD double chunk_maximum(Team& team, const L* values, index_t n) {
  using V = typename Team::template vec<T>;
  V top[4] = {V(-infinity<T>), V(-infinity<T>), V(-infinity<T>), V(-infinity<T>)};
  team.template loop<T, 4>(n, [&](auto at, auto k) { top[k] = max(top[k], at.load(values, -infinity<T>)); });
  return team.maximum(max(max(top[0], top[1]), max(top[2], top[3])));
}

/// What one chunk adds to the sums of a row, and its largest logits.
struct chunk_sums {
  double top = 0;
  double base_top = 0;
  double sum = 0;
  double base_sum = 0;
  double weighted_logit = 0;
  double weighted_ratio = 0;
};

/// One pass over a chunk. Where e^d is 0 (masked, or far below the maximum) there is nothing to add, and 0·(-inf) must not be
/// formed. `keep`, where not null, receives e^d.
template <class Terms, class T, class Team, class L>
INFALIGN_FLATTEN INFALIGN_HD chunk_sums sum_chunk(Team& team, const L* row, const L* base, index_t n, double origin,
                                                  double base_origin, T* keep) {
  using V = typename Team::template vec<T>;
  using std::exp;
  const V zero = constant<V>(origin);
  [[maybe_unused]] const V base_zero = constant<V>(base_origin);
  V top(-infinity<T>), base_top(-infinity<T>), sum(0), base_sum(0), logit(0), ratio(0);
  team.template loop<T>(n, [&](auto at, auto) {
    const V l = at.load(row, -infinity<T>);
    const V d = l - zero;
    const V e = exp(d);
    [[maybe_unused]] const auto present = e > V(0);
    top = max(top, l);
    sum = sum + e;
    if (keep != nullptr) at.store(keep, e);
    if constexpr (Terms::entropy) logit = at.add_where(logit, present, e * d);
    if constexpr (Terms::kl) {
      const V b = at.load(base, -infinity<T>);
      const V c = b - base_zero;
      base_top = max(base_top, b);
      base_sum = base_sum + V(exp(c));
      ratio = at.add_where(ratio, present, e * (d - c));
    }
  });
  chunk_sums s;
  s.top = team.maximum(top);
  s.sum = team.sum(sum);
  if constexpr (Terms::entropy) s.weighted_logit = team.sum(logit);
  if constexpr (Terms::kl) {
    s.base_top = team.maximum(base_top);
    s.base_sum = team.sum(base_sum);
    s.weighted_ratio = team.sum(ratio);
  }
  return s;
}

template <class Terms, class L>
INFALIGN_HD row_statistics finish_row(const L* row, const L* base, std::int32_t token, const row_sums& sums) {
  using std::log;
  const double log_sum = log(sums.policy.sum);
  row_statistics s{sums.policy.shift + log_sum, 0, static_cast<double>(static_cast<compute_t<L>>(row[token])), 0, 0, 0};
  if constexpr (Terms::entropy) {
    const double entropy = log_sum - sums.weighted_logit / sums.policy.sum;
    s.entropy = entropy < 0 ? 0 : entropy;
  }
  if constexpr (Terms::kl) {
    const double base_log_sum = log(sums.reference.sum);
    s.base_log_normalizer = sums.reference.shift + base_log_sum;
    s.token_base_logit = static_cast<double>(static_cast<compute_t<L>>(base[token]));
    const double kl = sums.weighted_ratio / sums.policy.sum - (log_sum - base_log_sum);
    s.kl = kl < 0 ? 0 : kl;
  }
  return s;
}

/// Statistics of a row in one pass. The shift is the maximum of the first chunk; a chunk that reaches far above it (and few do)
/// raises it and is summed again.
/// With d = l - shift and c = b - base shift: log Z = shift + log Σe^d, entropy = log Σe^d - Σ e^d·d / Σe^d, and
/// KL = Σ e^d·(d - c) / Σe^d - (log Σe^d - log Σe^c), in which no number is as large as the logits may be.
template <class Terms, class Team, class L>
INFALIGN_HD row_statistics read_row(Team& team, const L* row, const L* base, index_t columns, std::int32_t token,
                                    kept_exponentials<compute_t<L>>& kept) {
  using T = compute_t<L>;
  constexpr index_t chunk = Team::template chunk<T>();
  row_sums sums;
  const index_t head = columns < chunk ? columns : chunk;
  sums.raise_to(chunk_maximum<T>(team, row, head), Terms::kl ? chunk_maximum<T>(team, base, head) : 0);
  for (index_t begin = 0; begin < columns; begin += chunk) {
    const auto sum = [&] {
      const index_t n = columns - begin < chunk ? columns - begin : chunk;
      return sum_chunk<Terms, T>(team, row + begin, Terms::kl ? base + begin : nullptr, n, sums.policy.origin(),
                                 sums.reference.origin(), kept.values != nullptr ? kept.values + begin : nullptr);
    };
    chunk_sums s = sum();
    if (sums.policy.is_far_below(s.top) || (Terms::kl && sums.reference.is_far_below(s.base_top))) {
      if (sums.policy.sum > 0) kept.values = nullptr;  // what was kept is measured from the old shift
      sums.raise_to(s.top, s.base_top);
      s = sum();
    }
    sums.policy.sum += s.sum;
    sums.reference.sum += s.base_sum;
    sums.weighted_logit += s.weighted_logit;
    sums.weighted_ratio += s.weighted_ratio;
  }
  kept.origin = sums.policy.origin();
  return finish_row<Terms>(row, base, token, sums);
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
struct precise_minus {
  V high;
  V low;
  INFALIGN_HD explicit precise_minus(double c) : high(constant<V>(c)), low(0) {
    low = constant<V>(c - static_cast<double>(static_cast<typename lane<V>::type>(c)));
  }
  INFALIGN_HD V operator()(V x) const { return (x - high) - low; }
};

/// Everything but the term of the sampled token, for scalars or batches, with its constants at hand. Where p is 0 the gradient
/// is 0, whatever the logarithms are; where it is NaN, NaN.
template <class Terms, class V>
struct gradient_formula {
  precise_minus<V> log_p;
  precise_minus<V> log_q;
  V score;
  V kl_weight;
  V kl;
  V entropy_weight;
  V entropy;

  INFALIGN_HD gradient_formula(const row_statistics& s, const row_gradient& c)
      : log_p(s.log_normalizer),
        log_q(s.base_log_normalizer),
        score(constant<V>(c.score)),
        kl_weight(constant<V>(c.kl)),
        kl(constant<V>(s.kl)),
        entropy_weight(constant<V>(c.entropy)),
        entropy(constant<V>(s.entropy)) {}

  INFALIGN_HD V operator()(V p, V logit, V base_logit) const {
    V factor = score;
    if constexpr (Terms::entropy) factor = factor + entropy_weight * (log_p(logit) + entropy);
    if constexpr (Terms::kl) factor = factor + kl_weight * (log_p(logit) - log_q(base_logit) - kl);
    return Terms::entropy || Terms::kl ? select(p <= V(0), V(0), p * factor) : p * factor;
  }
};

template <class Terms, class Team, class L, class G>
INFALIGN_FLATTEN INFALIGN_HD void write_gradient_row(Team& team, const L* row, const L* base, index_t columns,
                                                     std::int32_t token, const row_statistics& s, const row_gradient& c,
                                                     const kept_exponentials<compute_t<L>>& kept, G* gradient) {
  using T = compute_t<L>;
  using V = typename Team::template vec<T>;
  using std::exp;
  const gradient_formula<Terms, V> formula(s, c);
  const auto write = [&](auto probability) {
    team.template loop<T>(columns, [=](auto at, auto) {
      const V l = at.load(row);
      V b(0);
      if constexpr (Terms::kl) b = at.load(base);
      at.store(gradient, formula(V(probability(at, l)), l, b));
    });
  };
  if (kept.values != nullptr)
    write([kept = kept.values, share = constant<V>(exp(kept.origin - s.log_normalizer))](auto at, const V&) {
      return at.load(kept) * share;
    });
  else
    write([log_p = formula.log_p](auto, const V& l) { return exp(log_p(l)); });
  // The sampled token anew from its saved logit: rounded once, also where the gradient is stored in 16 bits.
  team.once([&] {
    const gradient_formula<Terms, double> exact(s, c);
    const double rest = exact(exp(s.log_prob()), s.token_logit, s.token_base_logit);
    gradient[token] = static_cast<G>(static_cast<compute_t<G>>(rest - c.score));
  });
}

/// Writes the gradient of a row; `gradient` may be `row`. Without KL weight the base is not touched: an infinite KL must not
/// turn into 0·inf.
template <class Terms, class Team, class L, class G>
INFALIGN_HD void write_gradient(Team& team, const L* row, const L* base, index_t columns, std::int32_t token,
                                const row_statistics& s, const row_gradient& c, const kept_exponentials<compute_t<L>>& kept,
                                G* gradient) {
  if (Terms::kl && c.kl != 0)
    write_gradient_row<Terms>(team, row, base, columns, token, s, c, kept, gradient);
  else
    write_gradient_row<row_terms<false, Terms::entropy>>(team, row, base, columns, token, s, c, kept, gradient);
}

}  // namespace infalign::detail
