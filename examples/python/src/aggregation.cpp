// SPDX-License-Identifier: Apache-2.0
#include <infalign/objective/aggregation.hpp>

#include <vector>

#include "views.hpp"

namespace infalign_python::baseline {

void aggregate(int by, double divisor, index_t responses, index_t length, double* weights) {
  const std::vector<double> mask(weights, weights + responses * length);
  const ia::rows<const double> in(mask.data(), responses, length);
  const ia::rows<double> out(weights, responses, length);
  ia::simd& on = serial_backend();
  if (by == 3) return ia::constant_weights(on, in, divisor, out);
  constexpr ia::aggregation ways[] = {ia::aggregation::token_mean, ia::aggregation::sequence_mean_of_token_means,
                                      ia::aggregation::sequence_mean_of_token_sums};
  ia::aggregation_weights(on, in, ways[by], ia::count_responses(on, in), out);
}

}  // namespace infalign_python::baseline
