// SPDX-License-Identifier: Apache-2.0
/// \file
/// A matchup names the inference-time procedures that the policy and the base run when they are compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/theory/detail/procedure_side.hpp"

namespace infalign {

namespace detail {
class density_curve;
}

/// The procedures that the policy and the base run at inference. It is one pair of procedures, or several pairs with
/// probabilities `p_i`, as when the number of samples at inference is not known yet:
///
///     matchup(best_of(4))                // both sides draw 4 and serve the best
///     matchup(best_of(4), standard())    // only the policy does; the base serves its single sample
///     matchup::mixture({{0.5, matchup(best_of(2))}, {0.5, matchup(best_of(8))}})
///
/// A policy whose reward quantile has the CDF `F` wins `W = 1 - ∫₀¹ Σ_i p_i·G_i(F(u))·g_i^base(u) du`. `G_i` is the distortion
/// of the policy's procedure and `g_i^base` the density of the base's; for best-of-N, `G(q) = q^N` and `g(q) = N·q^{N-1}`.
///
/// `soft_best_of` and `rewind_and_repeat` may be played too, with the calibrated reward u as what they select by. They are no
/// distortion of ranks: `G_i` is then `soft_distortion` or `rewind_distortion` of the policy in question, and `g_i^base` that of
/// the base policy.
///
///     matchup(soft_best_of(4, 0.1))      // of 4 samples, one by the softmax of u/0.1
///     matchup(rewind_and_repeat(0.8, 4)) // draw until u > 0.8, at most 4 times
///
/// Of the others a procedure needs only `distortion`. If it has no `density`, the derivative of its distortion is taken
/// numerically, with an error of about 1e-12 of the derivative's largest value. The procedures are copied. Source of W: derived.
///
/// Errors: `domain_error` with the procedure's name, if it draws more than `most_served_samples` samples, or its density at 0 or 1
/// is finite but larger than that. A quantile next to 1 is known to 1e-16, and W therefore to about 1e-16 of the largest density:
/// 1e-7 at the limit. Where a density is taken numerically, also if the distortion is not finite, or has about 300 kinks. For a
/// threshold of `rewind_and_repeat` outside [0, 1], and a λ of `soft_best_of` below 0.00025, where it is nearly `best_of`. A
/// mixture has at most 100 pairs.
class matchup {
 public:
  struct outcome;

  /// Both sides run `procedure`.
  template <class Procedure>
    requires(!std::same_as<Procedure, matchup>) && detail::played_procedure<Procedure>
  explicit matchup(const Procedure& procedure) : matchup(procedure, procedure) {}
  template <detail::played_procedure Procedure, detail::played_procedure BaseProcedure>
  matchup(const Procedure& procedure, const BaseProcedure& base_procedure) : pairs_{{1, {}, {}, 0, {}}} {
    if constexpr (std::same_as<Procedure, any_served_procedure>)
      procedure.visit([this](const auto& held) { this->set_policy(held); });
    else
      set_policy(procedure);
    if constexpr (std::same_as<BaseProcedure, any_served_procedure>)
      base_procedure.visit([this](const auto& held) { this->pairs_.front().base = detail::side_of(held); });
    else
      pairs_.front().base = detail::side_of(base_procedure);
  }

  /// Several matchups with the probability of each. Errors: `shape_error` if there is none; `domain_error` if a probability is
  /// not positive or their sum differs from 1 by more than 1e-9. The probabilities are divided by their sum.
  static matchup mixture(const std::vector<outcome>& outcomes);

  /// The derivative of the integrand of W with respect to `F`, without its minus sign: `k(q, u) = Σ_i p_i·g_i(q)·g_i^base(u)`,
  /// taken at `q = F(u)`. Not for procedures that select by reward.
  [[nodiscard]] double slope(double q, double u) const {
    double sum = 0;
    for (const pair& p : pairs_) sum += p.probability * p.policy.density(q) * p.base.density(u);
    return sum;
  }
  /// Whether W is known to be concave in the policy. That is so if the density of every policy procedure never falls, which a
  /// procedure states by a `steepest_fall()` of 0. Best-of-N does; worst-of-N does not.
  [[nodiscard]] bool concave() const { return steepest_fall() == 0; }
  /// How far from concave W is: `Σ_i p_i·max(-g_i')`, from the `steepest_fall()` of each policy procedure. It is infinite if a
  /// procedure does not state one, since values at some points prove nothing about the points between them. If the KL weight β
  /// is at least a quarter of this sum, `W - β·KL` is concave even though W is not.
  ///
  /// Derived: with `h = δF`, `δ²W = -∫ g'(F)·g_base·h²` and `δ²KL = ∫ h'²/f`. Since `h` vanishes at both ends,
  /// `max h² <= (∫|h'|)²/4 <= ∫ h'²/f / 4`; and `∫ g_base = 1`. A procedure that serves one of N samples by their rewards counts as
  /// `2N(N-1)`: W is the mean of a number in [0, 1] over N draws, so that `δ²W = N(N-1)·∫∫ k δf δf` with a k in [0, 1] that may be
  /// moved by ½, and `(∫|δf|)² <= δ²KL`.
  [[nodiscard]] double steepest_fall() const {
    double sum = 0;
    for (const pair& p : pairs_) sum += p.probability * p.steepest_fall;
    return sum;
  }
  /// What evaluating the densities of a pair costs, in powers: the mean over pairs, rounded up.
  [[nodiscard]] long density_cost() const {
    long sum = 0;
    for (const pair& p : pairs_) sum += p.policy.density_cost + p.base.density_cost;
    const long sides = 2 * static_cast<long>(pairs_.size());
    return (sum + sides - 1) / sides;
  }
  /// For example `best_of:4`, `best_of:4 vs standard`, or for a mixture `0.5*best_of:2 + 0.5*best_of:8`.
  [[nodiscard]] std::string name() const {
    std::string text;
    for (const pair& p : pairs_) {
      text += (text.empty() ? "" : " + ") + (pairs_.size() > 1 ? detail::format_parameter(p.probability) + "*" : std::string());
      text += p.policy.name + (p.policy.name == p.base.name ? "" : " vs " + p.base.name);
    }
    return text;
  }

  using side_functions = detail::side_functions;
  struct pair {
    double probability;
    side_functions policy;
    side_functions base;
    double steepest_fall;  ///< `max(-g')` of the policy's procedure
    /// The policy's procedure where it selects by reward. `policy` is then what it makes of the base policy.
    std::optional<detail::reward_procedure> by_reward;

    /// What it makes of another policy, where it selects by reward.
    [[nodiscard]] side_functions made_of(const detail::density_curve& policy) const;
  };
  [[nodiscard]] const std::vector<pair>& pairs() const { return pairs_; }
  /// Whether the policy's procedure, in some pair, selects by reward.
  [[nodiscard]] bool by_reward() const {
    return std::any_of(pairs_.begin(), pairs_.end(), [](const pair& p) { return p.by_reward.has_value(); });
  }

 private:
  template <class Procedure>
  void set_policy(const Procedure& procedure) {
    pair& p = pairs_.front();
    p.policy = detail::side_of(procedure);
    p.steepest_fall = detail::steepest_fall_of(procedure);
    // With one sample there is nothing to select.
    if constexpr (std::constructible_from<detail::reward_procedure, Procedure>)
      if (procedure.samples_needed() > 1) p.by_reward = procedure;
  }

  std::vector<pair> pairs_;
};

struct matchup::outcome {
  double probability;
  matchup played;
};

inline matchup matchup::mixture(const std::vector<outcome>& outcomes) {
  constexpr const char* function = "matchup::mixture";
  expects<shape_error>(!outcomes.empty(), function, "outcomes is empty");
  double sum = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    expects<domain_error>(outcomes[i].probability > 0, function, "outcomes[", i, "].probability is ", outcomes[i].probability,
                          ", must be positive");
    sum += outcomes[i].probability;
  }
  expects<domain_error>(std::abs(sum - 1) <= 1e-9, function, "sum of probabilities is ", sum, ", must be 1");
  matchup all = outcomes.front().played;
  all.pairs_.clear();
  for (const outcome& o : outcomes)
    for (pair p : o.played.pairs_) {
      p.probability *= o.probability / sum;
      all.pairs_.push_back(std::move(p));
    }
  constexpr std::size_t most_pairs = 100;
  expects<shape_error>(all.pairs_.size() <= most_pairs, function, "outcomes has ", all.pairs_.size(), " pairs, the most are ",
                       most_pairs);
  return all;
}

}  // namespace infalign
