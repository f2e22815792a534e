// SPDX-License-Identifier: Apache-2.0
// What is only a distortion cannot be run, and the message says so.
// expects: the procedure has no serving_rule
#include <vector>

#include "infalign/serving.hpp"

struct median_of_three {
  static double distortion(double q) { return q * q * (3 - 2 * q); }
};

double f() {
  using namespace infalign;
  const auto model = [](span<const sample_request> asked) { return std::vector<double>(asked.begin() == nullptr ? 0 : 1); };
  const auto reward = [](span<const sample_request>, span<const double> y) { return std::vector<double>(y.begin(), y.end()); };
#ifdef INFALIGN_MUST_FAIL
  const median_of_three procedure;
#else
  const order_statistic procedure(2, 3);
#endif
  return serve(procedure, model, reward, 1).prompts[0].score;
}
