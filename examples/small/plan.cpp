// SPDX-License-Identifier: Apache-2.0
// Before any training: which transform to train with at a KL budget, at which KL weight, and what it will win.
#include <cmath>
#include <cstdio>
#include <infalign/procedure/best_of.hpp>
#include <infalign/theory.hpp>

int main() {
  // The transform log u has the best-of-4 policy as its optimum at β = 1/3, whose KL is log 4 - 3/4.
  const infalign::kl_budget budget(std::log(4.0) - 0.75);
  const infalign::plan_table table = infalign::plan(infalign::matchup(infalign::best_of(4)), {budget});

  bool right = false;
  std::printf("best-of-4 at KL %.4f:\n", budget.value);
  for (const infalign::plan_row& row : table.sections[0].rows) {
    const infalign::tradeoff_point& point = row.reached.value();
    std::printf("  %-16s beta %-9.3g wins %.4f, plain sampling %.4f\n", row.transform.c_str(), point.beta,
                point.inference_win_rate, point.standard_win_rate);
    // Best of 4 of that policy serves u¹⁶ against u⁴: it wins 1 - ∫ u¹⁶·4u³ du = 4/5; a single sample wins 4/5 as well.
    if (row.transform == "logarithm")
      right = std::abs(point.beta - 1.0 / 3) < 1e-10 && std::abs(point.inference_win_rate - 0.8) < 1e-10 &&
              std::abs(point.standard_win_rate - 0.8) < 1e-10;
  }
  std::printf("recommended: %s\n", table.recommended.c_str());
  return right && table.sections[0].rows[0].transform == "optimal" ? 0 : 1;  // nothing lies above the optimum
}
