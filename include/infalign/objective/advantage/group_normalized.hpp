// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "infalign/objective/advantage/check.hpp"
#include "infalign/objective/advantage/detail/centred.hpp"

namespace infalign {

/// The denominator of a standard deviation: n - 1 by Bessel's correction, as in PyTorch's `std`, or n.
enum class deviation { bessel, population };

struct group_normalized_options {
  double epsilon = 1e-4;  ///< in units of the reward; positive
  deviation spread = deviation::bessel;
  group_of_one single = group_of_one::refused;
  missing_reward missing = missing_reward::refused();
};

/// GRPO: the advantage of each rollout in units of the spread of its prompt's rewards, `A_i = (r_i - mean)/(sd + ε)`. Prompts
/// are weighted by 1/sd, so the expectation is not the gradient of the mean reward; `leave_one_out_advantage` has no such bias.
///
/// | trainer  | ε    | group of one | NaN            |
/// |----------|------|--------------|----------------|
/// | TRL      | 1e-4 | `zero`       | `left_out()`   |
/// | verl     | 1e-6 | `uncentred`  | spoils a group |
/// | OpenRLHF | 1e-9 | `refused`    | spoils a group |
///
/// All three use Bessel's correction. Shapes: `rewards` and `out` P groups of the same lengths n ≥ 2, or of any where
/// `options.single` says what a group of one gets; `out` may be `rewards`. Rewards that are all equal give exactly 0. The deviation
/// is the sum of squares around the mean, never `E[r²] - mean²`: rewards of a small spread around a large mean lose nothing. Cost:
/// three passes over values in cache, sums in `double`. NaN: see `missing_reward`; on an unchecked backend, it and infinity are
/// left out. Errors: `shape_error` for a group of fewer than 2, `domain_error` for NaN or infinity, or an ε that is not positive
/// and finite. Source: Shao et al., DeepSeekMath, arXiv 2402.03300. Error, besides the rounding of the result: `(n/2 +
/// 8)·2⁻⁵³·max|r - mean|/(sd + ε)`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void group_normalized_advantage(B&& on, const Rewards& rewards, const Out& out, const group_normalized_options& options = {}) {
  constexpr const char* function = "group_normalized_advantage";
  const double epsilon = options.epsilon;
  expects<domain_error>(epsilon > 0 && epsilon - epsilon == 0, function, "epsilon is ", epsilon,
                        ", must be positive and finite");
  const group_options group{options.single, options.missing};
  detail::check_advantage(on, function, rewards, out, group, "a spread needs at least two");
  detail::run_centred(on, rewards, out,
                      {.what = detail::centred_factor::kind::deviation,
                       .epsilon = epsilon,
                       .lost = options.spread == deviation::bessel ? 1.0 : 0.0},
                      group);
}

}  // namespace infalign
