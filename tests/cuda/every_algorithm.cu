// SPDX-License-Identifier: Apache-2.0
#include "backend/every_algorithm.hpp"

void run_every_algorithm(infalign::test::on_cuda<float>::backend& on) {
  infalign::test::every_algorithm<infalign::test::on_cuda<float>>().run(on);
}
