// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/missing_reward.hpp"

namespace infalign {

/// What the advantage is in a group of one rollout, which has no other to be compared with.
enum class group_of_one {
  refused,    ///< a `shape_error`
  zero,       ///< 0, as TRL has it
  uncentred,  ///< mean 0 and deviation 1 are assumed, as verl has it: the reward itself
};

/// Options of the advantages over the mean of a group. If rewards may be missing, a group counts as one of those that are there;
/// where `single` is `refused`, one that is left alone has the advantage 0.
struct group_options {
  group_of_one single = group_of_one::refused;
  missing_reward missing = missing_reward::refused();
};

}  // namespace infalign
