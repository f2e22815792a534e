// SPDX-License-Identifier: Apache-2.0
/// \file
/// What an inference-time procedure is. If a policy's rewards have the CDF `F`, then the reward of the response that is served has the
/// CDF `G(F)`. `G` is called the distortion of the procedure.
///
/// A procedure is a copyable type. It must have
/// - `distortion(q)`: `G(q)`, increasing from `G(0) = 0` to `G(1) = 1`.
///
/// It may have
/// - `density(q)`: `G'(q)`. The theory and gradients use it. Default: a numerical derivative, to about 1e-12 of its largest value.
/// - `from_count(c, m)`: an unbiased estimate of `G(F(t))`, where c of m samples are at or below t. Default: `G(c/m)`, which is biased.
/// - `samples_needed()`: how many samples this estimate needs. Default: 1.
/// - `steepest_fall()`: `max(-G'')`, which is 0 for a convex G. The proof that an optimum is the global one rests on it. Default:
///   unknown, so that nothing is proved.
/// - `density_cost()`: how many times the time of a power `density` takes, if it is much more. Searches of the theory are cut short
///   accordingly. Default: 1.
/// - `name()`: a string, as it is shown in tables. Default: `user-defined`.
///
/// `distortion`, `density` and `from_count` are `INFALIGN_HD` where the procedure is to run on a GPU.
///
/// To have a procedure read by its name, write a file like `best_of.hpp` with all of these members but `from_count` and
/// `samples_needed`, which stay optional, and enter it in `procedures.hpp`. It then needs two members more:
/// - `naming`: a static `name_entry`, which holds the syntax of the name, an example, and a line of explanation;
/// - `read(in)`: a static function that makes the procedure from the parameters of its name, taken from a `detail::parameter_reader`.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"

namespace infalign {

template <class P>
concept inference_procedure = std::copyable<P> && requires(const P& procedure, double q) {
  { procedure.distortion(q) } -> std::convertible_to<double>;
};

/// The largest number of samples for which the distortion of a procedure is evaluated at quantiles. Next to 1 they are known to 1e-16,
/// and what is served therefore to about 1e-16 times the number of samples.
inline constexpr index_t most_served_samples = index_t{1} << 30;

namespace detail {

/// Public functions call it first, so that the compiler says in one line what a type lacks to be a procedure.
template <class P>
constexpr void expects_procedure() {
  static_assert(std::copyable<P>, "a procedure must be copyable");
  static_assert(
      requires(const P& procedure, double q) {
        { procedure.distortion(q) } -> std::convertible_to<double>;
      }, "a procedure needs a const distortion(q) that returns a number");
}

template <class P>
INFALIGN_HD double served_share(const P& procedure, index_t count, index_t samples) {
  if constexpr (requires { procedure.from_count(count, samples); })
    return procedure.from_count(count, samples);
  else
    return procedure.distortion(static_cast<double>(count) / static_cast<double>(samples));
}

template <class P>
index_t samples_needed(const P& procedure) {
  if constexpr (requires { procedure.samples_needed(); })
    return procedure.samples_needed();
  else
    return 1;
}

/// Errors: `domain_error` for a procedure that draws more than `most_served_samples`.
template <class P>
void expects_few_samples(std::string_view function, std::string_view name, const P& procedure) {
  const index_t samples = samples_needed(procedure);
  expects<domain_error>(samples <= most_served_samples, function, name, " draws ", samples, " samples, the most are ",
                        most_served_samples);
}

}  // namespace detail

}  // namespace infalign
