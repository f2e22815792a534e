// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/serving/rewind_and_repeat.hpp"
#include "infalign/serving/soft_best_of.hpp"
#include "infalign/theory/detail/numerical_density.hpp"
#include "infalign/theory/rewind_distortion.hpp"
#include "infalign/theory/soft_distortion.hpp"

namespace infalign {

class any_served_procedure;

namespace detail {

/// A procedure with its type erased. What is solved for a matchup is then compiled once, whatever the procedures are.
struct side_functions {
  std::string name;
  std::function<double(double)> distortion;
  std::function<double(double)> density;
  long density_cost = 1;           ///< in powers
  std::vector<double> kinks = {};  ///< where the density jumps, as far as that is known
};

/// A procedure that selects by the calibrated reward, so that its distortion is another for every policy.
using reward_procedure = std::variant<soft_best_of, rewind_and_repeat>;

template <class P>
concept played_procedure =
    inference_procedure<P> || std::constructible_from<reward_procedure, P> || std::same_as<P, any_served_procedure>;

template <inference_procedure Procedure>
side_functions side_of(const Procedure& procedure) {
  std::string name = "user-defined";
  if constexpr (requires { procedure.name(); }) name = procedure.name();
  expects_few_samples("matchup", name, procedure);
  side_functions functions{name, [procedure](double q) { return static_cast<double>(procedure.distortion(q)); }, {}};
  if constexpr (requires { procedure.density_cost(); }) functions.density_cost = procedure.density_cost();
  if constexpr (requires { procedure.density(0.5); })
    functions.density = [procedure](double q) { return static_cast<double>(procedure.density(q)); };
  else
    functions.density = numerical_density(name, functions.distortion);
  for (const double end : {0.0, 1.0}) {
    const double density = functions.density(end);
    const bool few = density <= static_cast<double>(most_served_samples) || density == infinity<double>;
    expects<domain_error>(few, "matchup", "the density of ", name, " at ", end, " is ", density, ", the largest is ",
                          most_served_samples);
  }
  return functions;
}

/// The distortion that a procedure is for one policy. It is shared: the panels of `soft_distortion` are many.
template <class Distortion>
side_functions side_for_policy(const std::string& name, Distortion made) {
  const auto shared = std::make_shared<const Distortion>(std::move(made));
  side_functions functions{name, [shared](double q) { return shared->distortion(q); },
                           [shared](double q) { return shared->density(q); }};
  if constexpr (requires { shared->density_cost(); }) functions.density_cost = shared->density_cost();
  return functions;
}

/// What the procedure makes of the base policy. Errors: see `matchup`.
inline side_functions side_of(const soft_best_of& procedure) {
  const std::string name = procedure.name();
  expects_few_samples("matchup", name, procedure);
  expects<domain_error>(procedure.lambda >= 0.00025, "matchup", "the lambda of ", name, " is ", procedure.lambda,
                        ", must be at least 0.00025: below that it is best_of:", procedure.n);
  if (procedure.n == 1) return side_for_policy(name, standard());
  return side_for_policy(name, soft_distortion(procedure, [](double u) { return u; }));
}
inline side_functions side_of(const rewind_and_repeat& procedure) {
  const std::string name = procedure.name();
  expects_few_samples("matchup", name, procedure);
  expects<domain_error>(procedure.threshold >= 0 && procedure.threshold <= 1, "matchup", "the threshold of ", name, " is ",
                        procedure.threshold, ", must be in [0, 1], as the calibrated reward is");
  side_functions functions = side_for_policy(name, rewind_distortion(procedure, procedure.threshold));
  functions.kinks = {procedure.threshold};
  return functions;
}

/// A procedure that does not state its steepest fall may have any.
template <class Procedure>
double steepest_fall_of(const Procedure& procedure) {
  if constexpr (requires { procedure.steepest_fall(); })
    return static_cast<double>(procedure.steepest_fall());
  else
    return infinity<double>;
}
template <std::convertible_to<reward_procedure> Procedure>
double steepest_fall_of(const Procedure& procedure) {
  const auto n = static_cast<double>(procedure.samples_needed());
  return 2 * n * (n - 1);
}

}  // namespace detail

}  // namespace infalign
