// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/objective/advantage/group_options.hpp"

namespace infalign::detail {

/// Checks what every advantage requires: groups of the same lengths, with at least `needed` finite rewards each. `why` ends the
/// sentence of the error. NaN passes where `missing` says what becomes of it.
template <class B, class Rewards, class Out, class... Why>
void check_advantage(B& on, std::string_view function, const Rewards& rewards, const Out& out, missing_reward missing,
                     index_t needed, const Why&... why) {
  expects_groups(on, function, "rewards", rewards);
  expects_groups(on, function, "out", out);
  expects_same_shape(on, function, "out", out, "rewards", rewards);
  if (needed > 0) expects_group_sizes(on, function, "rewards", rewards, needed, why...);
  expects_apart_or_same(function, "out", out, "rewards", rewards);
  if (missing.allowed())
    expects_each<is_infinite>(on, function, "rewards", rewards, "finite or NaN");
  else
    expects_finite(on, function, "rewards", rewards);
}

template <class B, class Rewards, class Out>
void check_advantage(B& on, std::string_view function, const Rewards& rewards, const Out& out, const group_options& options,
                     std::string_view why) {
  check_advantage(on, function, rewards, out, options.missing, options.single == group_of_one::refused ? 2 : 0, why);
}

}  // namespace infalign::detail
