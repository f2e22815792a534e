// SPDX-License-Identifier: Apache-2.0
#include "pipeline.hpp"

align::results align::run_on_scalar(const task& what) {
  return run_on(infalign::scalar(), what);
}
