// SPDX-License-Identifier: Apache-2.0
#include "shards.hpp"

#include <mpi.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <set>
#include <utility>

#include "estimate_text.hpp"
#include "exchange.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/off_policy_part.hpp"
#include "infalign/statistics/estimate.hpp"
#include "infalign/statistics/stratified.hpp"
#include "json_text.hpp"
#include "output_file.hpp"
#include "prediction.hpp"
#include "record_reader.hpp"

namespace command {

namespace {

/// The prompts of the records of these files.
prompt_index prompts_of(const std::vector<std::string>& paths, const record_options& options) {
  prompt_index prompts;
  for (const std::string& path : paths)
    for (record_reader in(path, options); in.next();) prompts.find_or_add(in.prompt());
  return prompts;
}

std::uint64_t sum_of(std::uint64_t own) {
  std::uint64_t sum = 0;
  MPI_Allreduce(&own, &sum, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}
double sum_of(double own) {
  double sum = 0;
  MPI_Allreduce(&own, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}

/// `infalign::clustered_mean` of all ranks, over which a cluster may be spread: the sums of its deviations meet at its owner.
infalign::estimate clustered(const std::vector<double>& values, const reward_table& policy, const infalign::summary& whole,
                             infalign::quantity_range range) {
  std::vector<double> sums(policy.cluster_names.size());
  for (std::size_t p = 0; p < values.size(); ++p) sums[static_cast<std::size_t>(policy.clusters[p])] += values[p] - whole.mean;
  const std::vector<double> owned = owned_sums(policy.cluster_names, sums, MPI_COMM_WORLD);
  double squares = 0;
  for (const double sum : owned) squares += sum * sum;
  squares = sum_of(squares);
  const std::uint64_t clusters = sum_of(std::uint64_t{owned.size()});
  const auto n = static_cast<double>(whole.count), g = static_cast<double>(clusters);
  const double error = clusters > 1 ? std::sqrt(g / (g - 1) * squares) / n : infalign::infinity<double>;
  return {whole.mean, error, static_cast<infalign::index_t>(clusters), range.lowest, range.highest};
}

/// What all ranks have found together.
struct mean_of_ranks {
  infalign::index_t prompts;
  infalign::estimate mean;
  weighted_strata strata;
  std::vector<infalign::summary> of_strata;  ///< empty if they are not read
};

/// The mean of the values of all ranks, by clusters or by strata where these are read. Collective.
mean_of_ranks mean_over_ranks(const std::vector<double>& values, const reward_table& policy, const record_options& records,
                              const stratum_options& by_stratum, infalign::quantity_range range) {
  infalign::summary own;
  for (const double value : values) own.add(value);
  const infalign::summary whole = reduced(own, MPI_COMM_WORLD);
  if (!records.cluster_field.empty()) return {whole.count, clustered(values, policy, whole, range), {}, {}};
  if (records.stratum_field.empty()) return {whole.count, infalign::estimate_of(whole, range), {}, {}};
  named_summaries found =
      gathered(policy.stratum_names, stratum_summaries(values, policy.strata, policy.stratum_names.size()), MPI_COMM_WORLD);
  std::vector<infalign::index_t> prompts;
  for (const infalign::summary& of : found.summaries) prompts.push_back(of.count);
  weighted_strata all(found.names, prompts, by_stratum, policy.name);
  const infalign::estimate mean = infalign::stratified_mean(found.summaries, all.weights, range);
  return {whole.count, mean, std::move(all), std::move(found.summaries)};
}

}  // namespace

void win_rate(const win_rate_shards& chosen, int rank, int ranks) {
  check_level(chosen.level);
  const estimand what = estimand::parse(chosen);
  const record_options records = what.with_answers(chosen.records, chosen);
  check(records);
  check(chosen.by_stratum, records);
  const reward_table policy = exchanged(read_shards(chosen.policies, records, rank, ranks), chosen.policies, MPI_COMM_WORLD);
  const reward_table reference =
      what.has_reference()
          ? exchanged(read_shards(chosen.references, records.without_cluster(), rank, ranks), chosen.references, MPI_COMM_WORLD)
          : reward_table();
  const std::vector<double> values = policy.prompts.size() > 0 ? what.of(policy, reference) : std::vector<double>();
  const auto [prompts, mean, strata, of_strata] = mean_over_ranks(values, policy, records, chosen.by_stratum, what.range());
  if (rank != 0) return;
  const char* const key = what.is_win_rate() ? "win_rate" : "value";
  json_object found;
  found.add("ranks", static_cast<long long>(ranks));
  found.add("prompts", static_cast<long long>(prompts));
  if (!records.cluster_field.empty()) found.add("clusters", static_cast<long long>(mean.count));
  what.add_name(found);
  found.add(key, mean.value);
  add_error(found, mean, chosen.level);
  if (!of_strata.empty()) strata.add(found, key, of_strata);
  if (policy.missing + reference.missing > 0)
    found.add("missing_rewards", static_cast<long long>(policy.missing + reference.missing));
  std::puts(found.text().c_str());
}

void evaluate(const evaluate_shards& chosen, int rank, int ranks) {
  check_level(chosen.level);
  const std::vector<double> betas = positive_numbers("--beta", chosen.betas);
  check(chosen.records);
  const procedures served = procedures::parse(chosen);
  parse_transforms(chosen.transforms);  // before the long part
  const reward_table reference =
      exchanged(read_shards(chosen.references, chosen.records, rank, ranks), chosen.references, MPI_COMM_WORLD);
  expect_two(reference);
  infalign::simd on;
  const std::vector<prediction> found =
      predict(chosen.transforms, betas, [&](const infalign::any_transform& transform, double beta) {
        return infalign::evaluate_off_policy_part(on, reference.groups(), transform, infalign::kl_weight(beta), served.policy,
                                                  served.reference,
                                                  [](const auto& own) { return merged(own, MPI_COMM_WORLD); });
      });
  if (rank != 0) return;
  json_object report = prediction_json(chosen.level, served, found, {.missing_rewards = reference.missing});
  std::puts(report.add("ranks", static_cast<long long>(ranks)).text().c_str());
}

void calibrate(const calibrate_shards& chosen, int rank, int ranks) {
  check(chosen.records);
  static_cast<void>(chosen.tie_rule());  // that it is one
  static_cast<void>(chosen.parsed_transform());
  if (chosen.outputs.size() != chosen.rollouts.size())
    throw usage_failure(
        fmt::format("--output: there are {} files, but {} of --rollouts", chosen.outputs.size(), chosen.rollouts.size()));
  if (std::set(chosen.outputs.begin(), chosen.outputs.end()).size() != chosen.outputs.size())
    throw usage_failure("--output: a file is there twice");
  std::vector<std::string> own, outputs;
  for (std::size_t i = static_cast<std::size_t>(rank); i < chosen.rollouts.size(); i += static_cast<std::size_t>(ranks)) {
    own.push_back(chosen.rollouts[i]);
    outputs.push_back(chosen.outputs[i]);
  }
  const reward_table owned =
      exchanged(read_shards(chosen.references, chosen.records, rank, ranks), chosen.references, MPI_COMM_WORLD);
  reward_table references = fetched(owned, prompts_of(own, chosen.records), MPI_COMM_WORLD);
  references.name = owned.name;
  std::uint64_t records = 0, missing = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    record_reader in(own[i], chosen.records);
    reserve_calibrated(in);
    output_file out(outputs[i]);
    records += write_calibrated(in, out, references, chosen);
    missing += in.missing();
  }
  const std::uint64_t all_records = sum_of(records), all_missing = sum_of(missing);
  if (rank != 0) return;
  json_object done;
  done.add("ranks", static_cast<long long>(ranks)).add("records", static_cast<long long>(all_records));
  done.add("missing_references", static_cast<long long>(owned.missing));
  std::puts(done.add("missing_rewards", static_cast<long long>(all_missing)).text().c_str());
}

}  // namespace command
