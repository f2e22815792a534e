// SPDX-License-Identifier: Apache-2.0
#include "transform/every_call.hpp"

using configuration = infalign::test::on_cuda<float>;

void run_every_call_of_transform(configuration::backend& on) {
  infalign::test::transform_calls<configuration>().run(on);
}
