// SPDX-License-Identifier: Apache-2.0
// A scorer takes requests and responses; the message names the concept that it does not satisfy.
// expects: batch_scorer
#include <vector>

#include "infalign/serving.hpp"

double f() {
  using namespace infalign;
  const auto model = [](span<const sample_request> asked) { return std::vector<double>(asked.begin() == nullptr ? 0 : 1); };
#ifdef INFALIGN_MUST_FAIL
  const auto reward = [](span<const double> y) { return std::vector<double>(y.begin(), y.end()); };
#else
  const auto reward = [](span<const sample_request>, span<const double> y) { return std::vector<double>(y.begin(), y.end()); };
#endif
  return serve(best_of(3), model, reward, 1).prompts[0].score;
}
