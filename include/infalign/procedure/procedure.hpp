// SPDX-License-Identifier: Apache-2.0
/// \file
/// What an inference-time procedure is. A *calibrated* procedure changes the distribution of the reward quantile of what is
/// served: if a policy's rewards have CDF `F`, the served response has CDF `G(F)`. `G` is the procedure's distortion.
///
/// To add one, write a file like `best_of.hpp`: a small value with
/// - `distortion(q)`: `G(q)`, increasing from `G(0) = 0` to `G(1) = 1`; all that is required;
/// - `density(q)`: `G'(q)`, for theory and gradients;
/// - `from_count(c, m)`: the unbiased estimate of `G(F(t))` from `c` of `m` samples at or below `t`; the plug-in `G(c/m)`
/// otherwise;
/// - `samples_needed()`: how many samples that estimate needs; 1 otherwise;
/// - `steepest_fall()`: `max(-G'')`, 0 for a convex G; what theory proves of an optimum rests on it;
/// - `name()`.
#pragma once

#include <concepts>
#include <string>

#include "infalign/core/config.hpp"

namespace infalign {

template <class P>
concept inference_procedure = std::copyable<P> && requires(const P& procedure, double q) {
  { procedure.distortion(q) } -> std::convertible_to<double>;
};

namespace detail {

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

}  // namespace detail

}  // namespace infalign
