// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy-gradient objectives that a policy can be trained by. README.md says how they compare.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace align {

/// What a step makes of the rewards of its rollouts. All add the exact KL of responses to the base policy.
enum class policy_objective {
  rloo,       ///< REINFORCE, each rollout against the mean of its prompt's others
  reinforce,  ///< REINFORCE, each rollout against the mean of all others of the step
  grpo,       ///< deviations from the prompt's mean, in units of the prompt's deviation
  ppo_clip,   ///< as rloo, two steps on the same rollouts, the ratio of each token clipped
  gspo,       ///< as rloo, two steps on the same rollouts, the ratio of each response clipped
  win_rate,   ///< the gradient of the best-of-4 or worst-of-4 win rate itself, in methods of their own
};

inline constexpr std::array<std::pair<const char*, policy_objective>, 6> policy_objectives{
    {{"rloo", policy_objective::rloo},
     {"reinforce", policy_objective::reinforce},
     {"grpo", policy_objective::grpo},
     {"ppo_clip", policy_objective::ppo_clip},
     {"gspo", policy_objective::gspo},
     {"win-rate", policy_objective::win_rate}}};

inline std::string name_of(policy_objective objective) {
  for (const auto& [name, known] : policy_objectives)
    if (known == objective) return name;
  return {};
}

inline policy_objective objective_named(const std::string& name) {
  std::string known;
  for (const auto& [of_known, objective] : policy_objectives) {
    if (name == of_known) return objective;
    known += (known.empty() ? "" : ", ") + std::string(of_known);
  }
  throw std::invalid_argument("--objective knows " + known + ", not '" + name + "'");
}

/// The policy is updated so often by the same rollouts.
inline int updates_of(policy_objective objective) {
  return objective == policy_objective::ppo_clip || objective == policy_objective::gspo ? 2 : 1;
}

/// What is to be trained: methods by their names, all if empty, each by every objective.
struct selection {
  std::vector<policy_objective> objectives{policy_objective::rloo};
  std::vector<std::string> methods{};
};

}  // namespace align
