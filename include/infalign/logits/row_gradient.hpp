// SPDX-License-Identifier: Apache-2.0
/// \file
/// The second pass over one row of logits, for a team: the gradient with respect to every logit, from the statistics of the row
/// and the coefficients that a loss asks for.
#pragma once

#include <cmath>
#include <limits>

#include "infalign/core/math.hpp"
#include "infalign/logits/read_row.hpp"
#include "infalign/logits/row_statistics.hpp"

namespace infalign {

/// Coefficients of the gradient of one row, for the loss `-w·log π(a) + β·KL - η·H` of its token `a`:
/// `dL/dl_j = p_j·[w + β·(log p_j - log q_j - KL) + η·(log p_j + H)] - w·1{j = a}`, times the derivative of `logit_map`.
struct row_coefficients {
  double score = 0;    ///< `w`, minus the derivative of the loss by log π(a)
  double kl = 0;       ///< `β`, its derivative by the KL
  double entropy = 0;  ///< `η`, minus its derivative by the entropy
};

namespace detail {

/// Whether a row has a gradient. It has none if the row has no distribution (a NaN or +inf among its logits, or -inf alone), if a
/// coefficient is not finite, or if the KL is infinite and counts.
INFALIGN_HD inline bool has_gradient(const row_statistics& s, const row_coefficients& c) {
  const bool has_distribution = !not_finite(s.shift) && !not_finite(s.log_sum);
  const bool has_coefficients = !not_finite(c.score) && !not_finite(c.kl) && !not_finite(c.entropy);
  return has_distribution && has_coefficients && (c.kl == 0 || !not_finite(s.kl));
}

/// The gradient by the capped logits but for the term of the sampled token, for scalars or batches, with its constants at hand. It
/// is 0 where p is 0, whatever the logarithms are.
template <class Terms, class V>
struct gradient_formula {
  precise_minus<Terms::mapped, V> log_p;
  V score;
  V kl_weight;
  log_ratio<Terms::mapped, V> below_mean_ratio;
  V entropy_weight;
  precise_minus<Terms::mapped, V> above_mean_logit;

  INFALIGN_HD gradient_formula(const row_statistics& s, const row_coefficients& c)
      : log_p(s.shift, s.log_sum, s.scale),
        score(constant<V>(s.scale * c.score)),
        kl_weight(constant<V>(s.scale * c.kl)),
        below_mean_ratio(s.shift, s.base_shift, s.mean_log_ratio, s.scale),
        entropy_weight(constant<V>(s.scale * c.entropy)),
        above_mean_logit(s.shift, s.mean_logit, s.scale) {}

  INFALIGN_HD V operator()(V p, V logit, V base_logit) const {
    V factor = score;
    if constexpr (Terms::entropy) factor = factor + entropy_weight * above_mean_logit(logit);
    if constexpr (Terms::kl) factor = factor - kl_weight * below_mean_ratio(logit, base_logit);
    return Terms::entropy || Terms::kl ? select(p <= V(0), V(0), p * factor) : p * factor;
  }
};

template <class Terms, class Team, class L, class G>
INFALIGN_HOT INFALIGN_HD void write_gradient_row(Team& team, const L* row, const L* base, index_t columns, index_t token,
                                                 const row_statistics& s, const row_coefficients& c,
                                                 const kept_exponentials<compute_t<L>>& kept, const logit_map& map,
                                                 G* gradient) {
  using T = compute_t<L>;
  using V = typename Team::template vec<T>;
  using std::exp;
  const gradient_formula<Terms, V> formula(s, c);
  const soft_cap<Terms::mapped, V> capped(map.cap);
  const logit_floor<Terms::mapped, V> above(map.floor);
  const auto write = [&](auto probability) {
    team.template loop<T>(columns, [=](auto at, auto) {
      const V stored = at.load(row), l = above(stored, capped(stored));
      V b(0);
      if constexpr (Terms::kl) b = capped(at.load(base));
      at.store(gradient, capped.times_slope(formula(V(probability(at, l)), l, b), stored));
    });
  };
  if (kept.values != nullptr)
    write([kept = kept.values, share = constant<V>(exp(s.scale * (kept.origin - s.shift) - s.log_sum))](auto at, const V&) {
      return at.load(kept) * share;
    });
  else
    write([log_p = formula.log_p](auto, const V& l) { return natural_exp_bounded(V(log_p(l))); });
  if (token < 0) return;
  // The sampled token is computed anew from its saved logit, so that it is rounded once, also for gradients of 16 bits.
  // Its own term is `w·(p - 1)`, which for a token that is nearly certain is a small difference.
  team.once([&] {
    using std::expm1;
    const gradient_formula<Terms, double> others(s, {0, c.kl, c.entropy});
    const double rest = others(exp(s.log_prob()), s.token_logit, s.token_base_logit);
    const double by_logit = rest + s.scale * c.score * expm1(s.log_prob());
    gradient[token] = static_cast<G>(static_cast<compute_t<G>>(by_logit * slope_at(map.cap, s.token_logit)));
  });
}

}  // namespace detail

/// Writes the gradient of `columns` of a row; `gradient` may be `row` or `base`. `token` is the position of the sampled token
/// among them, or -1 if it is elsewhere. Where the probability is 0, the gradient is 0. Without a KL coefficient the base policy
/// is not read, so that an infinite KL cannot turn into 0·inf. `kept` is what `read_row` left there, and `map` what it was given. A row
/// without a gradient (see `policy_gradient`) becomes NaN as a whole.
template <class Terms, class Team, class L, class G>
INFALIGN_HD void write_gradient(Team& team, const L* row, const L* base, index_t columns, index_t token,
                                const row_statistics& s, const row_coefficients& c, const kept_exponentials<compute_t<L>>& kept,
                                G* gradient, const logit_map& map = {}) {
  if (!detail::has_gradient(s, c)) {
    using T = compute_t<G>;
    team.template loop<T>(columns, [=](auto at, auto) {
      at.store(gradient, typename Team::template vec<T>(std::numeric_limits<T>::quiet_NaN()));
    });
    return;
  }
  const auto write = [&]<class Wanted>(Wanted) {
    if (logit_map{s.scale, map.cap, map.floor}.is_identity())
      detail::write_gradient_row<Wanted>(team, row, base, columns, token, s, c, kept, map, gradient);
    else
      detail::write_gradient_row<mapped_terms<Wanted>>(team, row, base, columns, token, s, c, kept, map, gradient);
  };
  if (Terms::kl && c.kl != 0)
    write(Terms{});
  else
    write(row_terms<false, Terms::entropy>{});
}

}  // namespace infalign
