// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/objective/loss/importance_weighted.hpp"

namespace infalign {

namespace detail {
template <class LogProbs, class Sampler, class Out>
struct importance_weights_kernel {
  LogProbs log_prob;
  Sampler sampler_log_prob;
  Out out;
  importance_weight weight;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    using S = typename Out::value_type;
    const auto trained = log_prob[r];
    const auto sampler = sampler_log_prob[r];
    const auto result = out[r];
    const auto log_ratio = [&](index_t i) { return static_cast<double>(trained[i]) - static_cast<double>(sampler[i]); };
    const auto store = [&](index_t i, double w) { result[i] = static_cast<S>(static_cast<compute_t<S>>(w)); };
    const index_t n = trained.size();
    if (weight.level == weight_level::token) return team.items(n, [&](index_t i) { store(i, weight(log_ratio(i))); });
    const double sum = team.sum_items(n, log_ratio);
    const double w = weight(weight.level == weight_level::sequence ? sum : sum / static_cast<double>(n));
    team.items(n, [&](index_t i) { store(i, w); });
  }
};
template <class L, class S, class O>
importance_weights_kernel(L, S, O, importance_weight) -> importance_weights_kernel<L, S, O>;
}  // namespace detail

/// Importance weights for tokens that another policy sampled than the one whose gradient is estimated: an inference engine of other
/// precision, say. Token t of response y gets `w(log π_t - log μ_t)`, or the response's own `w(Σ_t …)` or `w(mean_t …)`, as
/// `weight.level` says; `w` is `exp`, truncated or masked. Multiply the advantages by them: policy losses are proportional to advantages,
/// and a KL term stays unweighted.
///
/// - `log_prob`: under the policy at rollout, computed by the trainer. `sampler_log_prob`: as the sampler gave them.
/// - Shapes: `log_prob`, `sampler_log_prob` and `out` R responses of the same lengths, rows or ragged; `out` may be one of the others.
/// - Sums of log-ratios are taken in `double`, before `exp`: a response of ten thousand tokens neither overflows nor underflows on the
///   way. Cost: one pass for tokens, two for responses.
/// - Error, besides the rounding of the result: relative `2⁻⁵³·(4 + n·Σ|log π - log μ|)` for n tokens that are added up.
/// - Errors: `shape_error`; `domain_error` for a log-probability that is not finite, and unless `0 <= low <= high` and `high > 0`.
/// - Source: truncated, Espeholt et al., IMPALA, arXiv 1802.01561; masked, derived.
template <backend B, grouped LogProbs, grouped Sampler, writable_groups Out>
  requires reachable_from<B, LogProbs, Sampler, Out>
void importance_weights(B&& on, const LogProbs& log_prob, const Sampler& sampler_log_prob, const importance_weight& weight,
                        const Out& out) {
  constexpr const char* function = "importance_weights";
  detail::check_weight(function, weight);
  detail::expects_groups(on, function, "log_prob", log_prob);
  detail::expects_groups(on, function, "sampler_log_prob", sampler_log_prob);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_shape(on, function, "sampler_log_prob", sampler_log_prob, "log_prob", log_prob);
  detail::expects_same_shape(on, function, "out", out, "log_prob", log_prob);
  detail::expects_apart_or_same(function, "out", out, "log_prob", log_prob);
  detail::expects_apart_or_same(function, "out", out, "sampler_log_prob", sampler_log_prob);
  detail::expects_finite(on, function, "log_prob", log_prob);
  detail::expects_finite(on, function, "sampler_log_prob", sampler_log_prob);
  on.groups(log_prob.size(), 8 * log_prob.total(),
            detail::importance_weights_kernel{any_groups(log_prob), any_groups(sampler_log_prob), any_groups(out), weight});
}

}  // namespace infalign
