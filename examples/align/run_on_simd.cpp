// SPDX-License-Identifier: Apache-2.0
#include "pipeline.hpp"

align::results align::run_on_simd(const task& what, const infalign::executor& executor) {
  return run_on(infalign::simd(executor), what);
}
