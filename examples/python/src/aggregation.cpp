// SPDX-License-Identifier: Apache-2.0
#include <infalign/objective/aggregation.hpp>

#include <vector>

#include "views.hpp"

namespace infalign_python::baseline {

void aggregate(ia::aggregation how, ia::counted_responses counted, double divisor, index_t responses, index_t length,
               double* weights) {
  const std::vector<double> mask(weights, weights + responses * length);
  const ia::rows<const double> in(mask.data(), responses, length);
  const ia::rows<double> out(weights, responses, length);
  ia::simd& on = serial_backend();
  if (divisor > 0) return ia::constant_weights(on, in, divisor, out);
  ia::aggregation_weights(on, in, how, ia::count_responses(on, in), out, counted);
}

}  // namespace infalign_python::baseline
