// SPDX-License-Identifier: Apache-2.0
#include "logits/every_call.hpp"

using configuration = infalign::test::on_cuda<float>;

void run_every_call_of_logits(configuration::backend& on) {
  infalign::test::logits_calls<configuration>().run(on);
}
