// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "scenario.hpp"

namespace align {

/// How long everything is.
struct schedule {
  int reward_steps = 150;
  int first_steps = 6000;  ///< training at the first KL weight of a method
  int next_steps = 2000;   ///< training at each further one, from the policy before it
  sample_counts samples;
};

inline schedule quick_schedule() {
  return {150, 40, 20, {32, 16, 64}};
}

}  // namespace align
