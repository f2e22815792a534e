// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "backend/executors.hpp"
#include "infalign/infalign.hpp"
#include "support/samples.hpp"

using infalign::test::thread_group;

TEST_CASE("the first bad value is reported whatever thread finds one") {
  std::vector<float> values(1'000'000, 1.0f), out(values.size());
  values[999'999] = values[700'001] = values[40'000] = 2;
  infalign::simd on(thread_group{4});
  CHECK(infalign::test::message_of<infalign::domain_error>([&] { infalign::apply(on, infalign::identity(), values, out); }) ==
        "apply: in[40000] is 2, must be in [0, 1]");
}

TEST_CASE("a copy of a backend keeps its executor and has scratch memory of its own") {
  int calls = 0;
  const infalign::simd on([&calls](std::size_t tasks, auto&& task) {
    ++calls;
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  });
  infalign::simd copy = on, trusting = on.unchecked();
  std::vector<float> values(1'000'000, 0.5f);
  infalign::apply(copy, infalign::identity(), values, values);
  CHECK(calls == 2);  // the search for bad values, and the transform
  infalign::apply(trusting, infalign::identity(), values, values);
  CHECK(calls == 3);
  std::vector<float> few(10, 0.5f);
  infalign::apply(copy, infalign::identity(), few, few);  // too little to be handed out
  CHECK(calls == 3);
}
