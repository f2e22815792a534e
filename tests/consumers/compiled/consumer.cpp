// SPDX-License-Identifier: Apache-2.0
// Another project's plan: with the theory compiled here, or in a library.
#include <cstdio>
#include <infalign/procedure/best_of.hpp>
#include <infalign/theory.hpp>
#include <infalign/transform/exponential.hpp>

int main() {
  const infalign::matchup played(infalign::best_of(4));
  const infalign::plan_table table = infalign::plan(played, {infalign::kl_budget(0.5)});
  const infalign::plan_row& best = table.sections.front().rows.front();
  const infalign::kl_weight beta(best.reached->beta);
  // Templates, on what the library holds.
  const double other = infalign::tilted_density(infalign::exponential(5), beta).win_rate(played);
  const infalign::robust_plan_table robust = infalign::robust_plan({{1, played}}, infalign::kl_budget(0.5));
  std::printf("%s: win rate %.17g, exponential(5) at its beta %.17g, least worst regret %.17g\n", best.transform.c_str(),
              best.reached->inference_win_rate, other, robust.least_worst_regret);
  return best.reached->inference_win_rate > 0.8 && other > 0.5 ? 0 : 1;
}
