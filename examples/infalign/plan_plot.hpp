// SPDX-License-Identifier: Apache-2.0
/// \file
/// The picture of a plan: KL against win rate, a line a transform, marks where the plan is.
#pragma once

#include <string>
#include <vector>

#include "infalign/theory/plan.hpp"

namespace command {

/// SVG with two panels: the win rate under the procedures, and of single samples.
std::string plan_plot(const infalign::plan_table& plan, const infalign::matchup& played,
                      const std::vector<infalign::any_transform>& transforms);

}  // namespace command
