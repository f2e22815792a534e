// SPDX-License-Identifier: Apache-2.0
#include <infalign/backend/thrust.hpp>

#include "pipeline.hpp"

align::results align::run_on_thrust(const task& what) {
  return run_on<infalign::simd<infalign::thrust_executor<>>>(what);
}
