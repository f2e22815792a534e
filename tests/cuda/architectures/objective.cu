// SPDX-License-Identifier: Apache-2.0
#include "objective/every_call.hpp"

using configuration = infalign::test::on_cuda<float>;

void run_every_call_of_objective(configuration::backend& on) {
  infalign::test::objective_calls<configuration>().run(on);
}
