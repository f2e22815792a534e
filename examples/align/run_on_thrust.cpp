// SPDX-License-Identifier: Apache-2.0
#include <infalign/backend/thrust.hpp>

#include "run_on.hpp"

align::results align::run_on_thrust(const task& what) {
  return run_on_simd(what, infalign::thrust_executor(thrust::device));
}
