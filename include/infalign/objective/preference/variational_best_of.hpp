// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/calibration/tie_rule.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/logarithm.hpp"

namespace infalign {

/// vBoN: the reward `(n-1)·log F(r)` with the CDF `F` of rewards under the base policy, at a KL weight of 1. Its optimum is the policy of
/// best-of-n, without ties exactly. The reward is a transform of the calibrated one:
///
/// \code
/// const infalign::variational_best_of vbon(4, references);
/// calibrate_transform(on, z, y, vbon.transform(), out, {.ties = vbon.ties});   // advantages follow; the KL weight is vbon.beta
/// \endcode
///
/// With K references, a reward below all of them has `F = 1/(2K)`, not 0. Errors: `domain_error` unless n ≥ 2 and K ≥ 1. Source: Amini et
/// al., Variational Best-of-N Alignment, arXiv 2407.06057.
struct variational_best_of {
  index_t n;
  index_t references;
  kl_weight beta{1};
  tie_rule ties = tie_rule::at_or_below();

  variational_best_of(index_t samples, index_t references_of_prompt) : n(samples), references(references_of_prompt) {
    expects<domain_error>(n >= 2, "variational_best_of", "n is ", n, ", must be at least 2");
    expects<domain_error>(references >= 1, "variational_best_of", "references is ", references, ", must be at least 1");
  }
  [[nodiscard]] scaled<clamped<logarithm>> transform() const {
    return {clamped<logarithm>(logarithm{}, 0.5 / static_cast<double>(references), 1), static_cast<double>(n - 1)};
  }
};

}  // namespace infalign
