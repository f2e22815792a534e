// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/token_mask.hpp"

namespace infalign {

namespace detail {

/// The running sum of the squared norms over the tokens of each response.
template <class Norms, class Weights>
struct running_norms_kernel {
  Norms norms;
  Weights weights;
  double* sums;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto w = norms[g];
    double* const sum = sums + norms.offset(g);
    team.once([&] {
      double energy = 0;
      for (index_t t = 0; t < w.size(); ++t) sum[t] = energy += weights(g, t) == 0 ? 0 : static_cast<double>(w[t]);
    });
  }
};
template <class N, class W>
running_norms_kernel(N, W, double*) -> running_norms_kernel<N, W>;

/// The responses of a prompt are `responses[p] … responses[p + 1] - 1`.
template <class Returns, class Weights, class Out>
struct token_baseline_kernel {
  Returns returns;
  Weights weights;
  const double* norms;
  const index_t* responses;
  double epsilon;
  Out out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t p) const {
    using S = typename Out::value_type;
    const index_t first = responses[p], end = responses[p + 1];
    index_t longest = 0;
    for (index_t i = first; i < end; ++i) longest = returns[i].size() > longest ? returns[i].size() : longest;
    team.items(longest, [&](index_t t) {
      const auto token = [&](index_t i) { return t < returns[i].size() && weights(i, t) != 0; };
      double sum = 0, weight = epsilon;
      for (index_t i = first; i < end; ++i) {
        if (!token(i)) continue;
        const double w = norms[returns.offset(i) + t];
        sum += w * static_cast<double>(returns[i][t]);
        weight += w;
      }
      const double baseline = end - first > 1 ? sum / weight : 0;
      for (index_t i = first; i < end; ++i)
        if (t < returns[i].size())
          out[i][t] = static_cast<S>(static_cast<compute_t<S>>(token(i) ? static_cast<double>(returns[i][t]) - baseline : 0.0));
    });
  }
};
template <class R, class W, class O>
token_baseline_kernel(R, W, const double*, const index_t*, double, O) -> token_baseline_kernel<R, W, O>;

}  // namespace detail

/// The optimal token baseline: the advantage of every token over the returns of its prompt's responses at the same position,
/// each weighted by the squared norm of the gradient up to there: `A_it = G_it - B_t`, `B_t = Σ_j G_jt·W_jt/(Σ_j W_jt + ε)`,
/// `W_jt = Σ_{s≤t} w_js`, over the responses j that have a token at t.
///
/// `w = 1 - 2π + Σ_v π_v²` is the squared norm of the gradient of `log π` of the sampled token, of probability π, with respect
/// to its logits. The baseline holds the response itself, so the gradient is biased by O(1/n). A prompt with one response has
/// no baseline.
///
/// Shapes: `returns`, `norms`, `out` and `mask` T responses of the same lengths, one value a token (masks of `float`, `double`,
/// `int32_t` or `int64_t`); `responses` P + 1 positions: those of prompt p are `responses[p]` up to `responses[p+1]`, as of ragged
/// groups. `out` may be `returns`. Values whose mask is 0 are not read, and get 0; a position is that in the row, so padding
/// belongs behind the tokens. `discounted_returns` gives `returns`. Cost: two passes. Errors: `shape_error`; `domain_error` for an
/// ε that is not positive and finite; without a mask, for NaN and infinity. Source: verl's `optimal_token_baseline`, without
/// `handle_zero_tail`. Error, besides the rounding of the result: `(n + L + 8)·2⁻⁵³·max|G|` for n responses of L tokens.
template <backend B, grouped Returns, grouped Norms, class Responses, writable_groups Out, class Mask = every_token>
  requires reachable_from<B, Returns, Norms, Out>
void optimal_token_baseline_advantage(B&& on, const Returns& returns, const Norms& norms, const Responses& responses,
                                      const Out& out, double epsilon = 1e-8, const Mask& mask = {}) {
  constexpr const char* function = "optimal_token_baseline_advantage";
  const span offsets(responses);
  static_assert(reachable_from<B, decltype(offsets)>, "the views must live in the memory of the backend");
  expects<domain_error>(epsilon > 0 && epsilon - epsilon == 0, function, "epsilon is ", epsilon,
                        ", must be positive and finite");
  detail::expects_groups(on, function, "returns", returns);
  detail::expects_groups(on, function, "norms", norms);
  detail::expects_same_shape(on, function, "norms", norms, "returns", returns);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_shape(on, function, "out", out, "returns", returns);
  detail::expects_apart_or_same(function, "out", out, "returns", returns);
  detail::expects_apart(function, "out", out, "norms", norms);
  detail::expects_apart(function, "out", out, "responses", offsets);
  // Offsets are what is checked here; the values that they count, responses, are nowhere.
  detail::expects_groups(
      on, function, "responses",
      ragged<const index_t, typename std::remove_cvref_t<B>::memory_space>{{offsets.data(), returns.size()}, offsets}, "");
  const auto weights = detail::check_mask(on, function, mask, "returns", returns, "out", out);
  if constexpr (std::same_as<Mask, every_token>) {
    detail::expects_finite(on, function, "returns", returns);
    detail::expects_finite(on, function, "norms", norms);
  }
  if (returns.empty()) return;
  auto frame = on.scratch();
  double* const sums = frame.template take<double>(returns.total());
  on.groups(returns.size(), 2 * returns.total(), detail::running_norms_kernel{any_groups(norms), weights, sums});
  on.groups(offsets.size() - 1, 4 * returns.total(),
            detail::token_baseline_kernel{any_groups(returns), weights, static_cast<const double*>(sums), offsets.data(),
                                          epsilon, any_groups(out)});
}

}  // namespace infalign
