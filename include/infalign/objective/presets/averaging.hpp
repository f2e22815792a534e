// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/aggregation.hpp"

namespace infalign::presets {

/// How a trainer averages the losses of tokens: what its presets return, and `averaged_weights` carries out.
struct averaging {
  aggregation how = aggregation::token_mean;
  counted_responses counted = counted_responses::nonempty;
  double divisor = 0;  ///< if it is positive, all tokens are divided by it instead
};

/// The weights of tokens for `token_data::weighted_by`. Shapes, cost and errors: as `aggregation_weights`.
template <backend B, grouped Mask, writable_groups Out>
  requires reachable_from<B, Mask, Out>
void averaged_weights(B&& on, const Mask& mask, const averaging& by, const response_counts& whole, const Out& out) {
  if (by.divisor > 0)
    constant_weights(on, mask, by.divisor, out);
  else
    aggregation_weights(on, mask, by.how, whole, out, by.counted);
}

}  // namespace infalign::presets
