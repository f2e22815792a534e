// SPDX-License-Identifier: Apache-2.0
/// \file
/// Off-policy evaluation of prompts that lie on several machines.
#pragma once

#include <type_traits>

#include "infalign/backend/backend.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/evaluation/off_policy.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

/// `evaluate_off_policy` of all prompts, of which these are a part. Every machine calls it with its own prompts, also one that has none, and
/// all get the result of one call with all prompts, up to rounding.
///
/// `share` is called twice, with a state that merges: `share(off_policy_pool)` with what is known of these rewards before the evaluation,
/// `share(off_policy_sums)` with its sums. Each call returns the states of all parts merged, in the same order everywhere; by MPI:
/// `MPI_Allgather`, then `merge`. What is exchanged are 32 and 392 bytes.
///
/// - Shapes: `rewards` P ≥ 0 groups of base samples in host memory, whole prompts each. Cost and errors: those of `evaluate_off_policy`; an
///   error on one machine keeps the others waiting in `share`, so end them all.
/// - Source: as `evaluate_off_policy`; what couples prompts is its pool alone, so that sums merge.
template <backend B, grouped Rewards, class Transform, class Procedure, class BaseProcedure, class Share>
  requires reachable_from<B, Rewards>
off_policy_evaluation evaluate_off_policy_part(B&& on, const Rewards& rewards, const Transform& transform, kl_weight beta,
                                               const Procedure& procedure, const BaseProcedure& base_procedure,
                                               const Share& share) {
  static_assert(std::is_same_v<typename Rewards::memory_space, host_memory>, "the parts must be in host memory");
  detail::expects_transform<Transform>();
  const auto form = kernel_form(transform);
  return detail::evaluate_objective_off_policy(on, rewards,
                                               detail::calibrated_objective<std::remove_const_t<decltype(form)>>{form}, beta,
                                               procedure, base_procedure, off_policy_prompts<host_memory>{}, share);
}

}  // namespace infalign
