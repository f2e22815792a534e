// SPDX-License-Identifier: Apache-2.0
/// \file
/// A matchup names the inference-time procedures that the policy and the base run when they are compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/names.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/theory/detail/numerical_density.hpp"

namespace infalign {

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
/// A procedure needs only `distortion`. If it has no `density`, the derivative of its distortion is taken numerically, with an
/// error of about 1e-12 of the derivative's largest value. The procedures are copied. Source of W: derived.
///
/// Errors: `domain_error` with the procedure's name, if it draws more than `most_served_samples` samples, or its density at 0 or 1
/// is finite but larger than that. A quantile next to 1 is known to 1e-16, and W therefore to about 1e-16 of the largest density:
/// 1e-7 at the limit. Where a density is taken numerically, also if the distortion is not finite, or has about 300 kinks. A mixture
/// has at most 100 pairs.
class matchup {
 public:
  struct outcome;

  /// Both sides run `procedure`.
  template <class Procedure>
    requires(!std::same_as<Procedure, matchup>) && inference_procedure<Procedure>
  explicit matchup(const Procedure& procedure) : matchup(procedure, procedure) {}
  template <inference_procedure Procedure, inference_procedure BaseProcedure>
  matchup(const Procedure& procedure, const BaseProcedure& base_procedure)
      : pairs_{{1, side(procedure), side(base_procedure), 0}} {
    pairs_.front().steepest_fall = fall(procedure);
  }

  /// Several matchups with the probability of each. Errors: `shape_error` if there is none; `domain_error` if a probability is
  /// not positive or their sum differs from 1 by more than 1e-9. The probabilities are divided by their sum.
  static matchup mixture(const std::vector<outcome>& outcomes);

  /// The derivative of the integrand of W with respect to `F`, without its minus sign: `k(q, u) = Σ_i p_i·g_i(q)·g_i^base(u)`,
  /// taken at `q = F(u)`.
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
  /// `max h² <= (∫|h'|)²/4 <= ∫ h'²/f / 4`; and `∫ g_base = 1`.
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

  /// A procedure with its type erased. What is solved for a matchup is then compiled once, whatever the procedures are.
  struct side_functions {
    std::string name;
    std::function<double(double)> distortion;
    std::function<double(double)> density;
    long density_cost = 1;  ///< in powers
  };
  struct pair {
    double probability;
    side_functions policy;
    side_functions base;
    double steepest_fall;  ///< `max(-g')` of the policy's procedure
  };
  [[nodiscard]] const std::vector<pair>& pairs() const { return pairs_; }

 private:
  template <class Procedure>
  static side_functions side(const Procedure& procedure) {
    std::string name = "user-defined";
    if constexpr (requires { procedure.name(); }) name = procedure.name();
    detail::expects_few_samples("matchup", name, procedure);
    side_functions functions{name, [procedure](double q) { return static_cast<double>(procedure.distortion(q)); }, {}};
    if constexpr (requires { procedure.density_cost(); }) functions.density_cost = procedure.density_cost();
    if constexpr (requires { procedure.density(0.5); })
      functions.density = [procedure](double q) { return static_cast<double>(procedure.density(q)); };
    else
      functions.density = detail::numerical_density(name, functions.distortion);
    for (const double end : {0.0, 1.0}) {
      const double density = functions.density(end);
      const bool few = density <= static_cast<double>(most_served_samples) || density == infinity<double>;
      expects<domain_error>(few, "matchup", "the density of ", name, " at ", end, " is ", density, ", the largest is ",
                            most_served_samples);
    }
    return functions;
  }
  /// A procedure that does not state its steepest fall may have any.
  template <class Procedure>
  static double fall(const Procedure& procedure) {
    if constexpr (requires { procedure.steepest_fall(); })
      return static_cast<double>(procedure.steepest_fall());
    else
      return infinity<double>;
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
