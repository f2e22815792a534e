// SPDX-License-Identifier: Apache-2.0
#include "evaluation/every_call.hpp"

using configuration = infalign::test::on_cuda<float>;

void run_every_call_of_evaluation(configuration::backend& on) {
  infalign::test::evaluation_calls<configuration>().run(on);
}
