// SPDX-License-Identifier: Apache-2.0
#include "backend/every_backend.hpp"

#include "objective/every_call.hpp"

TEST_CASE_TEMPLATE("every algorithm of objective on every backend", T, float, double) {
  infalign::test::check_every_backend<infalign::test::objective_calls, T>();
}
