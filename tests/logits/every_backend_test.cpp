// SPDX-License-Identifier: Apache-2.0
#include "backend/every_backend.hpp"

#include "logits/every_call.hpp"

TEST_CASE_TEMPLATE("every algorithm of logits on every backend", T, float, double) {
  infalign::test::check_every_backend<infalign::test::logits_calls, T>();
}
