// SPDX-License-Identifier: Apache-2.0
/// \file
/// Means over prompts, or over clusters of prompts where they are named.
#pragma once

#include <string>
#include <vector>

#include "infalign/core/views.hpp"
#include "infalign/statistics/estimate.hpp"
#include "record_options.hpp"

namespace command {

/// `clusters` has the cluster of every prompt, or is empty where each prompt is sampled on its own.
infalign::estimate mean_over_prompts(const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                     infalign::quantity_range range);
/// The p-value of `sign_flip_p_value`, where the signs of a cluster flip together; NaN for a single prompt or cluster.
double p_value(const std::vector<double>& differences, const std::vector<infalign::index_t>& clusters);

/// A line for people, empty if there are no clusters.
std::string clusters_text(const record_options& chosen, const infalign::estimate& of);

}  // namespace command
