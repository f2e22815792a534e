// SPDX-License-Identifier: Apache-2.0
#include "backend/every_backend.hpp"

#include "calibration/every_call.hpp"

TEST_CASE_TEMPLATE("every algorithm of calibration on every backend", T, float, double) {
  infalign::test::check_every_backend<infalign::test::calibration_calls, T>();
}
