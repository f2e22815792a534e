// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a trainer logs of a step, from the statistics of its tokens: no pass over logits, and parts merge.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/logits/token_ids.hpp"
#include "infalign/objective/loss/kl_estimate.hpp"

namespace infalign {

/// Sums over tokens, each times its weight. Summaries of micro-batches and ranks merge, in any order; the figures are those of the whole.
struct policy_summary {
  double weight = 0;                   ///< `Σ w`; tokens of weight 0 are left out
  double clipped_low = 0;              ///< `Σ w` over `ρ < 1 - ε_low`, A < 0
  double clipped_high = 0;             ///< `Σ w` over `ρ > 1 + ε_high`, A > 0
  double log_ratios = 0;               ///< `Σ w·log ρ`
  double k3 = 0;                       ///< `Σ w·(ρ - 1 - log ρ)`
  double kl = 0;                       ///< `Σ w·KL`, to the base policy
  double entropy = 0;                  ///< `Σ w·H`
  double smallest = infinity<double>;  ///< of `log ρ`
  double largest = -infinity<double>;
  double ratios = 0;   ///< `Σ w·ρ/ρ_max`
  double squares = 0;  ///< `Σ w·(ρ/ρ_max)²`

  /// Share of tokens whose gradient the lower bound of a clipped surrogate takes, the upper one, and either.
  [[nodiscard]] double clip_fraction_low() const { return clipped_low / weight; }
  [[nodiscard]] double clip_fraction_high() const { return clipped_high / weight; }
  [[nodiscard]] double clip_fraction() const { return (clipped_low + clipped_high) / weight; }
  /// Estimates of `KL(π_old‖π)`, if tokens are drawn from `π_old`: `-log ρ` in the mean, verl's and OpenRLHF's `ppo_kl`, and
  /// `ρ - 1 - log ρ`, which is never negative.
  [[nodiscard]] double approximate_kl_k1() const { return -log_ratios / weight; }
  [[nodiscard]] double approximate_kl_k3() const { return k3 / weight; }
  [[nodiscard]] double ratio_min() const { return std::exp(smallest); }
  [[nodiscard]] double ratio_max() const { return std::exp(largest); }
  [[nodiscard]] double ratio_mean() const { return ratios / weight * std::exp(largest); }
  [[nodiscard]] double kl_mean() const { return kl / weight; }
  [[nodiscard]] double entropy_mean() const { return entropy / weight; }
  /// Kish's effective sample size of the ratios as importance weights, `(Σ wρ)²/Σ wρ²`, and its share of `Σ w`: 1 on policy.
  [[nodiscard]] double effective_sample_size() const { return squares > 0 ? ratios * ratios / squares : 0; }
  [[nodiscard]] double effective_share() const { return effective_sample_size() / weight; }

  INFALIGN_HD void merge(const policy_summary& other) {
    using std::exp;
    const double top = largest > other.largest ? largest : other.largest;
    const auto shrinks = [&](const policy_summary& of) {  // equal ones may be infinite
      return !(of.weight > 0) ? 0 : of.largest == top ? 1 : exp(of.largest - top);
    };
    const double here = shrinks(*this), there = shrinks(other);
    ratios = detail::product(here, ratios) + detail::product(there, other.ratios);
    squares = detail::product(here * here, squares) + detail::product(there * there, other.squares);
    largest = top;
    smallest = smallest < other.smallest ? smallest : other.smallest;
    weight += other.weight;
    clipped_low += other.clipped_low;
    clipped_high += other.clipped_high;
    log_ratios += other.log_ratios;
    k3 += other.k3;
    kl += other.kl;
    entropy += other.entropy;
  }
};

/// The statistics of T tokens that `summarize_policy` reads: those that `policy_gradient` wrote, and what it was given. All but `log_prob`
/// may be empty.
template <class T, class Space = host_memory>
struct policy_tokens {
  using memory_space = Space;
  span<const T, Space> log_prob{};
  span<const T, Space> old_log_prob{};  ///< without: on policy, every ratio is 1
  span<const T, Space> advantages{};    ///< without: a ratio outside the bounds counts as clipped whatever the sign
  span<const T, Space> kl{};
  span<const T, Space> entropy{};
  token_weights<Space> weights{};  ///< 1 unless given; a token of weight 0 is not read
};

/// The bounds of the clipped surrogate that clip fractions are counted for.
struct clip_bounds {
  double low = 0.2;
  double high = 0.2;
};

namespace detail {

template <class T, class Space>
struct policy_summary_kernel {
  static constexpr index_t chunk = 256;
  policy_tokens<T, Space> of;
  clip_bounds bounds;
  policy_summary* parts;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t c) const {
    team.once([&] {
      policy_summary sum;
      const index_t end = (c + 1) * chunk < of.log_prob.size() ? (c + 1) * chunk : of.log_prob.size();
      for (index_t t = c * chunk; t < end; ++t)
        if (of.weights[t] != 0) sum.merge(one(t));
      parts[c] = sum;
    });
  }

 private:
  INFALIGN_HD policy_summary one(index_t t) const {
    const double w = of.weights[t];
    const double log_ratio =
        of.old_log_prob.empty() ? 0 : static_cast<double>(of.log_prob[t]) - static_cast<double>(of.old_log_prob[t]);
    const double ratio = capped_exp(log_ratio), a = of.advantages.empty() ? 0 : static_cast<double>(of.advantages[t]);
    const bool any = of.advantages.empty();
    policy_summary s;
    s.weight = s.ratios = s.squares = w;
    s.smallest = s.largest = log_ratio;
    s.clipped_low = ratio < 1 - bounds.low && (any || a < 0) ? w : 0;
    s.clipped_high = ratio > 1 + bounds.high && (any || a > 0) ? w : 0;
    s.log_ratios = w * log_ratio;
    s.k3 = capped_product(w, k3_of(-log_ratio));
    if (!of.kl.empty()) s.kl = w * static_cast<double>(of.kl[t]);
    if (!of.entropy.empty()) s.entropy = w * static_cast<double>(of.entropy[t]);
    return s;
  }
};

struct merge_summaries_kernel {
  const policy_summary* parts;
  index_t n;
  policy_summary* whole;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    team.once([&] {
      policy_summary sum;
      for (index_t c = 0; c < n; ++c) sum.merge(parts[c]);
      *whole = sum;
    });
  }
};

}  // namespace detail

/// The summary of a step's tokens. Waits for the result.
///
/// \code
/// policy_gradient(on, loss, batch, token_data(advantages, old).weighted_by(mask), weights, {.log_prob = lp, .entropy = h}, gradient);
/// infalign::policy_summary step = infalign::summarize_policy(
///     on, infalign::policy_tokens<float>{.log_prob = lp, .old_log_prob = old, .advantages = a, .entropy = h, .weights = mask});
/// \endcode
///
/// - Shapes: T values in `log_prob` and in each span that is not empty. For ratios of responses hand in one value a response.
/// - Ratios of any size: sums of them are kept relative to the largest. Weights must not be negative.
/// - Cost: one read of the statistics, an exponential or two a token. Deterministic; equal for every number of threads.
/// - Error: sums are taken in `double`, and a figure is right to a relative 1e-12 of the sum of the sizes of its terms.
/// - Errors: `shape_error`; `domain_error` for a weight that is negative or not finite. NaN in what is read shows in the figures.
template <backend B, class T, class Space>
  requires reachable_from<B, policy_tokens<T, Space>>
policy_summary summarize_policy(B&& on, const policy_tokens<T, Space>& of, const clip_bounds& bounds = {}) {
  constexpr std::string_view function = "summarize_policy";
  const index_t tokens = of.log_prob.size();
  const auto check = [&](std::string_view name, const auto& values) {
    detail::expects_span(function, name, values);
    expects<shape_error>(values.empty() || values.size() == tokens, function, name, " has ", values.size(),
                         " values, but log_prob has ", tokens);
  };
  check("log_prob", of.log_prob);
  check("old_log_prob", of.old_log_prob);
  check("advantages", of.advantages);
  check("kl", of.kl);
  check("entropy", of.entropy);
  of.weights.visit([&]<class W>(const span<const W, Space>& weights) {
    check("weights", weights);
    if (weights.empty() || !on.checks_values()) return;
    const index_t bad = on.template first<W>(weights.size(), detail::is_negative_or_not_finite<W>{weights.data()});
    if (bad < weights.size())
      raise<domain_error>(function, "weights[", bad, "] is ", static_cast<double>(on.read(weights.data() + bad)),
                          ", must be finite and not negative");
  });
  if (tokens == 0) return {};
  using kernel = detail::policy_summary_kernel<T, Space>;
  const index_t chunks = (tokens + kernel::chunk - 1) / kernel::chunk;
  auto frame = on.scratch();
  auto* const parts = frame.template take<policy_summary>(chunks);
  auto* const whole = frame.template take<policy_summary>(1);
  on.groups(chunks, 32 * tokens, kernel{of, bounds, parts});
  on.groups(1, chunks, detail::merge_summaries_kernel{parts, chunks, whole});
  return on.read(static_cast<const policy_summary*>(whole));
}

}  // namespace infalign
