// SPDX-License-Identifier: Apache-2.0
/// \file
/// How far best-of-N is from its base policy: a bound, a tighter estimate from the probabilities of what is served, and the exact KL of
/// a policy with finitely many responses.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// `log N - (N - 1)/N`: no best-of-N is further from its base policy, and with continuous rewards every one is as far. Where responses
/// have probability the KL is smaller. Errors: `domain_error` for N < 1. Source: Beirami et al., arXiv 2401.01879, theorem 1.
[[nodiscard]] INFALIGN_KEYED inline double best_of_kl_bound(index_t n) {
  expects<domain_error>(n >= 1, "best_of_kl_bound", "n is ", n, ", must be at least 1");
  const auto x = static_cast<double>(n);
  return std::log(x) - (x - 1) / x;
}

/// The tighter estimate for a prompt from the probability ε of the response that best-of-N served, under the base policy:
/// `(1-ε)^N·[log N + (N-1)·log(1-ε) - (N-1)/N] + (1-(1-ε)^N)·log((1-(1-ε)^N)/ε)`. The mean over what is served estimates the KL; it is
/// the bound for ε → 0, and 0 for ε = 1. For long responses ε is tiny, and nothing is gained.
/// Errors: `domain_error` for N < 1 or ε outside [0, 1]. Source: Beirami et al., arXiv 2401.01879, section 4.
[[nodiscard]] INFALIGN_KEYED inline double best_of_kl_estimate(index_t n, double probability) {
  constexpr const char* function = "best_of_kl_estimate";
  expects<domain_error>(probability >= 0 && probability <= 1, function, "probability is ", probability, ", must be in [0, 1]");
  const double bound = best_of_kl_bound(n);
  if (probability == 0 || n == 1) return n == 1 ? 0 : bound;
  if (probability == 1) return 0;
  const auto x = static_cast<double>(n);
  const double log_rest = std::log1p(-probability), missed = std::exp(x * log_rest), hit = -std::expm1(x * log_rest);
  return missed * (bound + (x - 1) * log_rest) + hit * std::log(hit / probability);
}

/// The KL of best-of-N exactly, for a base policy with finitely many responses: `Σ_y π_N(y)·log(π_N(y)/π(y))`, where the responses of
/// one reward share `F^N - F⁻^N` in proportion to their probability, F being the CDF of the reward. Ties lower the KL: best-of-N does
/// not choose between them.
///
/// - Shapes: `probabilities` n ≥ 1 values that sum to 1 within 1e-9 (they are scaled to 1); `rewards` as many.
/// - Cost: n·log n. Errors: `shape_error`; `domain_error` for N < 1, probabilities that are negative or do not sum to 1, rewards that
///   are not finite.
/// - Source: Beirami et al., arXiv 2401.01879, lemma 1, with ties.
[[nodiscard]] INFALIGN_KEYED inline double best_of_kl(index_t n, span<const double> probabilities, span<const double> rewards) {
  constexpr const char* function = "best_of_kl";
  expects<domain_error>(n >= 1, function, "n is ", n, ", must be at least 1");
  expects<shape_error>(!probabilities.empty(), function, "probabilities is empty");
  expects<shape_error>(rewards.size() == probabilities.size(), function, "rewards has ", rewards.size(),
                       " values, probabilities has ", probabilities.size());
  double sum = 0;
  for (index_t i = 0; i < rewards.size(); ++i) {
    expects<domain_error>(probabilities[i] >= 0 && probabilities[i] <= 1 + 1e-9, function, "probabilities[", i, "] is ",
                          probabilities[i], ", must be in [0, 1]");
    expects<domain_error>(std::isfinite(rewards[i]), function, "rewards[", i, "] is ", rewards[i], ", must be finite");
    sum += probabilities[i];
  }
  expects<domain_error>(std::abs(sum - 1) <= 1e-9, function, "probabilities sum to ", sum, ", must be 1");
  std::vector<index_t> order(static_cast<std::size_t>(rewards.size()));
  std::iota(order.begin(), order.end(), index_t{0});
  std::sort(order.begin(), order.end(), [&](index_t a, index_t b) { return rewards[a] < rewards[b]; });
  const auto x = static_cast<double>(n);
  double kl = 0, above = 1;  // 1 - F⁻, so that small probabilities at the top lose no digits
  for (std::size_t i = 0; i < order.size();) {
    double level = 0;
    const double reward = rewards[order[i]];
    for (; i < order.size() && rewards[order[i]] == reward; ++i) level += probabilities[order[i]] / sum;
    if (level == 0) continue;
    const double left = i == order.size() ? 0 : std::max(above - level, 0.0);
    const double upper = std::exp(x * std::log1p(-left));
    const double lower = above < 1 ? std::exp(x * std::log1p(-above)) : 0;
    // F^N - F⁻^N by the quotient where the two are close
    const double served =
        lower > 0 && upper < 2 * lower ? -upper * std::expm1(x * (std::log1p(-above) - std::log1p(-left))) : upper - lower;
    if (served > 0) kl += served * std::log(served / level);
    above = left;
  }
  return std::max(kl, 0.0);
}

}  // namespace infalign
