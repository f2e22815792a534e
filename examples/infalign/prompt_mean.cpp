// SPDX-License-Identifier: Apache-2.0
#include "prompt_mean.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/statistics/bootstrap.hpp"
#include "infalign/statistics/clustered_mean.hpp"
#include "infalign/statistics/confidence_sequence.hpp"
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

infalign::confidence_interval interval_of(const std::string& kind, const infalign::estimate& mean,
                                          const std::vector<double>& values, const std::vector<infalign::index_t>& clusters,
                                          double level) {
  if (kind == "bootstrap") return infalign::bootstrap_mean(values, clusters, {.level = level}).interval;
  if (kind != "anytime") return mean.interval(level);
  if (!clusters.empty())
    throw usage_failure("--interval anytime: is for prompts that are sampled one by one, not for clusters");
  if (!(mean.highest - mean.lowest < infalign::infinity<double>))
    throw usage_failure("--interval anytime: is for quantities with a range, such as win rates and passes");
  infalign::betting_sequence watched(level, {mean.lowest, mean.highest});
  for (const double value : values) watched.add(std::clamp(value, mean.lowest, mean.highest));  // rounding may leave the range
  return watched.interval();
}

void add_interval_kind(CLI::App& to, std::string& kind) {
  to.add_option("--interval", kind, "student, bootstrap (BCa over prompts), or anytime, which holds however often one looks")
      ->check(CLI::IsMember({"student", "bootstrap", "anytime"}))
      ->capture_default_str();
}

std::string clusters_text(const record_options& chosen, const infalign::estimate& of) {
  if (chosen.cluster_field.empty()) return {};
  return fmt::format("errors by {} cluster{} of {}\n", of.count, of.count == 1 ? "" : "s", excerpt(chosen.cluster_field));
}

}  // namespace command
