// SPDX-License-Identifier: Apache-2.0
#include "prompt_mean.hpp"

#include <fmt/format.h>

#include <cmath>

#include "infalign/backend/simd.hpp"
#include "infalign/statistics/clustered_mean.hpp"
#include "infalign/statistics/sign_flip.hpp"
#include "infalign/statistics/summarize.hpp"
#include "printable.hpp"

namespace command {

infalign::estimate mean_over_prompts(const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                     infalign::quantity_range range) {
  if (!clusters.empty()) return infalign::clustered_mean(values, clusters, range);
  infalign::simd on;
  return infalign::summarize(on, values, range);
}

double p_value(const std::vector<double>& differences, const std::vector<infalign::index_t>& clusters) {
  const std::vector<double> sampled = clusters.empty() ? differences : infalign::cluster_sums(differences, clusters);
  return sampled.size() > 1 ? infalign::sign_flip_p_value(sampled) : std::nan("");
}

std::string clusters_text(const record_options& chosen, const infalign::estimate& of) {
  if (chosen.cluster_field.empty()) return {};
  return fmt::format("errors by {} cluster{} of {}\n", of.count, of.count == 1 ? "" : "s", excerpt(chosen.cluster_field));
}

}  // namespace command
