// SPDX-License-Identifier: Apache-2.0
/// \file
/// Means over prompts, or over clusters of prompts where they are named.
#pragma once

#include <string>
#include <vector>

#include "infalign/core/views.hpp"
#include "infalign/statistics/estimate.hpp"
#include "record_options.hpp"

namespace CLI {
class App;
}

namespace command {

/// `clusters` has the cluster of every prompt, or is empty where each prompt is sampled on its own.
infalign::estimate mean_over_prompts(const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                     infalign::quantity_range range);
/// The p-value of `sign_flip_p_value`, where the signs of a cluster flip together; NaN for a single prompt or cluster.
double p_value(const std::vector<double>& differences, const std::vector<infalign::index_t>& clusters);

/// How the interval of a mean is taken: `student` as `estimate::interval` does, `bootstrap` (BCa over prompts or clusters), or `anytime`, in
/// the order of the file, which holds at every moment at which one may have looked.
infalign::confidence_interval interval_of(const std::string& kind, const infalign::estimate& mean,
                                          const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                          double level);
/// `--interval`, which sets the kind.
void add_interval_kind(CLI::App& to, std::string& kind);

/// A line for people, empty if there are no clusters.
std::string clusters_text(const record_options& chosen, const infalign::estimate& of);

}  // namespace command
