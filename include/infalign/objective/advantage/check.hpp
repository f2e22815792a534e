// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"

namespace infalign::detail {

/// Checks what every advantage requires: groups of the same lengths, with at least two finite rewards each. `why` ends the
/// sentence of the error.
template <class B, class Rewards, class Out>
void check_advantage(B& on, std::string_view function, const Rewards& rewards, const Out& out, std::string_view why) {
  expects_groups(on, function, "rewards", rewards);
  expects_groups(on, function, "out", out);
  expects_same_shape(on, function, "out", out, "rewards", rewards);
  expects_group_sizes(on, function, "rewards", rewards, 2, why);
  expects_apart_or_same(function, "out", out, "rewards", rewards);
  expects_finite(on, function, "rewards", rewards);
}

}  // namespace infalign::detail
