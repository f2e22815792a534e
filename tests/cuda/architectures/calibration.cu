// SPDX-License-Identifier: Apache-2.0
#include "calibration/every_call.hpp"

using configuration = infalign::test::on_cuda<float>;

void run_every_call_of_calibration(configuration::backend& on) {
  infalign::test::calibration_calls<configuration>().run(on);
}
