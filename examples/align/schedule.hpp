// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "infalign/core/config.hpp"
#include "scenario.hpp"

namespace align {

/// Procedures that are run.
struct serving_plan {
  int scorer_steps = 6000;
  infalign::index_t completions = 64;  ///< of each held-out prefix, to measure the scorer's error by
  std::size_t responses = 32;          ///< served to each held-out prompt by each procedure
  std::size_t plain_samples = 512;     ///< of each held-out prompt and policy, to foretell win rates from
};

/// How long everything is.
struct schedule {
  int reward_steps = 150;
  int first_steps = 6000;  ///< training at the first KL weight of a method
  int next_steps = 2000;   ///< training at each further one, from the policy before it
  sample_counts samples;
  serving_plan serving;
};

inline schedule quick_schedule() {
  return {150, 40, 20, {32, 16, 64}, {300, 8, 4, 64}};
}

}  // namespace align
