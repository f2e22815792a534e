// SPDX-License-Identifier: Apache-2.0
/// \file
/// Who plays whom: the inference-time procedures that the policy and the base run when they are compared.
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

/// The procedures that the policy and the base run at inference. What a policy of reward-quantile CDF `F` wins is
/// `W = 1 - ∫₀¹ Σ_i p_i·G_i(F(u))·g_i^base(u) du`: one pair of procedures (`matchup(best_of(4))`, `matchup(best_of(4), standard())`),
/// or several with probabilities `p_i` (`matchup::mixture`), as when the number of samples at inference is not known yet.
///
/// A procedure needs `distortion` alone; without `density` its derivative is taken numerically, to about 1e-12 of its largest
/// value. Copies the procedures. Source of W: derived.
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

  /// One of several matchups, with probabilities. Errors: `shape_error` if there is none; `domain_error` for a probability that is
  /// not positive, or if they do not add to 1 within 1e-9 (they are divided by their sum).
  static matchup mixture(const std::vector<outcome>& outcomes);

  /// `∂/∂F` of what is won, up to sign: `k(q, u) = Σ_i p_i·g_i(q)·g_i^base(u)`.
  [[nodiscard]] double slope(double q, double u) const {
    double sum = 0;
    for (const pair& p : pairs_) sum += p.probability * p.policy.density(q) * p.base.density(u);
    return sum;
  }
  /// Whether every policy procedure says that its density never falls (`steepest_fall()` of 0): then W is concave in the policy.
  [[nodiscard]] bool concave() const { return steepest_fall() == 0; }
  /// `Σ_i p_i·max(-g_i')`, by the `steepest_fall()` of the procedures: how far from concave W is. Infinite where a procedure does
  /// not have it, as values at points prove nothing of what lies between them. For a KL weight of at least a quarter of it,
  /// `W - β·KL` is concave all the same.
  ///
  /// Derived: with `h = δF`, `δ²W = -∫ g'(F)·g_base·h²` and `δ²KL = ∫ h'²/f`; as `h` vanishes at both ends,
  /// `max h² <= (∫|h'|)²/4 <= ∫ h'²/f / 4`, and `∫ g_base = 1`.
  [[nodiscard]] double steepest_fall() const {
    double sum = 0;
    for (const pair& p : pairs_) sum += p.probability * p.steepest_fall;
    return sum;
  }
  /// `best_of:4`, or `best_of:4 vs standard`; those of a mixture with their probabilities.
  [[nodiscard]] std::string name() const {
    std::string text;
    for (const pair& p : pairs_) {
      text += (text.empty() ? "" : " + ") + (pairs_.size() > 1 ? detail::format_parameter(p.probability) + "*" : std::string());
      text += p.policy.name + (p.policy.name == p.base.name ? "" : " vs " + p.base.name);
    }
    return text;
  }

  /// A procedure without its type, so that what is solved for a matchup is compiled once.
  struct side_functions {
    std::string name;
    std::function<double(double)> distortion;
    std::function<double(double)> density;
  };
  struct pair {
    double probability;
    side_functions policy;
    side_functions base;
    double steepest_fall;  ///< of the policy's density
  };
  [[nodiscard]] const std::vector<pair>& pairs() const { return pairs_; }

 private:
  template <class Procedure>
  static side_functions side(const Procedure& procedure) {
    std::string name = "user-defined";
    if constexpr (requires { procedure.name(); }) name = procedure.name();
    const auto distortion = [procedure](double q) { return static_cast<double>(procedure.distortion(q)); };
    if constexpr (requires { procedure.density(0.5); })
      return {name, distortion, [procedure](double q) { return static_cast<double>(procedure.density(q)); }};
    else
      return {name, distortion, detail::numerical_density(distortion)};
  }
  /// What a procedure that does not say it may have is any fall.
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
  return all;
}

}  // namespace infalign
