// SPDX-License-Identifier: Apache-2.0
// A procedure that needs all its samples cannot stop early.
// expects: order_statistic and top_of look at all samples
#include <vector>

#include "infalign/serving.hpp"

double f() {
  using namespace infalign;
  const auto model = [](span<const sample_request> asked) { return std::vector<double>(asked.begin() == nullptr ? 0 : 1); };
  const auto reward = [](span<const sample_request>, span<const double> y) { return std::vector<double>(y.begin(), y.end()); };
#ifdef INFALIGN_MUST_FAIL
  const stopped_at procedure(order_statistic(2, 3), 0.5);
#else
  const stopped_at procedure(best_of(3), 0.5);
#endif
  return serve(procedure, model, reward, 1).prompts[0].score;
}
