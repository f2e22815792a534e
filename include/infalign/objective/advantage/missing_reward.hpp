// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

#include "infalign/core/error.hpp"

namespace infalign {

/// What becomes of a rollout without a reward (a checker that did not answer, for example). NaN stands for such a reward.
///
/// - `refused()`, the default everywhere: a `domain_error` that names it.
/// - `left_out()`: its advantage is 0, and neither the mean nor the deviation of its group counts it. TRL does so.
/// - `scored(r)`: it has the reward `r`, for example that of a failure.
class missing_reward {
 public:
  INFALIGN_KEYED static constexpr missing_reward refused() { return {false, std::numeric_limits<double>::quiet_NaN()}; }
  INFALIGN_KEYED static constexpr missing_reward left_out() { return {true, std::numeric_limits<double>::quiet_NaN()}; }
  /// Errors: `domain_error` for a reward that is not finite.
  INFALIGN_KEYED static missing_reward scored(double reward) {
    expects<domain_error>(reward - reward == 0, "missing_reward", "reward is ", reward, ", must be finite");
    return {true, reward};
  }
  [[nodiscard]] constexpr bool allowed() const { return allowed_; }
  /// The reward in its place; NaN where there is none.
  [[nodiscard]] INFALIGN_KEYED constexpr double substitute() const { return substitute_; }

 private:
  INFALIGN_KEYED constexpr missing_reward(bool allowed, double substitute) : allowed_(allowed), substitute_(substitute) {}
  bool allowed_;
  double substitute_;
};

}  // namespace infalign
