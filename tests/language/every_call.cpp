// SPDX-License-Identifier: Apache-2.0
// Every algorithm once, and every header: what is compiled here in other ways than the tests are. See CMakeLists.txt.
#include "infalign/infalign.hpp"
#include "infalign/theory.hpp"
#include "infalign/theory/definitions.hpp"

#include "calibration/every_call.hpp"
#include "evaluation/every_call.hpp"
#include "logits/every_call.hpp"
#include "objective/every_call.hpp"
#include "support/configurations.hpp"
#include "transform/every_call.hpp"

template <class C>
void every_call() {
  using namespace infalign::test;
  typename C::backend on;
  calibration_calls<C>().run(on);
  evaluation_calls<C>().run(on);
  logits_calls<C>().run(on);
  objective_calls<C>().run(on);
  transform_calls<C>().run(on);
}
template void every_call<infalign::test::configuration<float, infalign::simd>>();
template void every_call<infalign::test::configuration<double, infalign::simd>>();
template void every_call<infalign::test::configuration<float, infalign::scalar>>();
