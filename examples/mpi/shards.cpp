// SPDX-License-Identifier: Apache-2.0
#include "shards.hpp"

#include <mpi.h>

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
#include "json_text.hpp"
#include "output_file.hpp"
#include "prediction.hpp"
#include "record_reader.hpp"

namespace command {

namespace {

/// For messages: a prompt of an owner may have been in any of the files.
std::string name_of(const std::vector<std::string>& files) {
  return files.size() == 1 ? files.front() : fmt::format("{} and {} more", files.front(), files.size() - 1);
}

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

}  // namespace

void win_rate(const win_rate_shards& chosen, int rank, int ranks) {
  check_level(chosen.level);
  check(chosen.records);
  const estimand what = estimand::parse(chosen);
  if (!what.with_answers({}, chosen).answer_field.empty())
    throw usage_failure(fmt::format("--estimand: {} needs answers, which ranks do not exchange", what.name()));
  const reward_table policy = exchanged(read_shards(chosen.policies, chosen.records, rank, ranks), MPI_COMM_WORLD);
  const reward_table reference = what.has_reference()
                                     ? exchanged(read_shards(chosen.references, chosen.records, rank, ranks), MPI_COMM_WORLD)
                                     : reward_table();
  infalign::summary own;
  if (policy.prompts.size() > 0)
    for (const double value : what.of(policy, reference)) own.add(value);
  const infalign::summary whole = reduced(own, MPI_COMM_WORLD);
  if (rank != 0) return;
  const infalign::estimate mean = infalign::estimate_of(whole, what.range());
  json_object found;
  found.add("ranks", static_cast<long long>(ranks));
  found.add("prompts", static_cast<long long>(mean.count));
  what.add_name(found);
  found.add(what.is_win_rate() ? "win_rate" : "value", mean.value);
  add_error(found, mean, chosen.level);
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
  reward_table reference = exchanged(read_shards(chosen.references, chosen.records, rank, ranks), MPI_COMM_WORLD);
  reference.name = name_of(chosen.references);
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
  const reward_table owned = exchanged(read_shards(chosen.references, chosen.records, rank, ranks), MPI_COMM_WORLD);
  reward_table references = fetched(owned, prompts_of(own, chosen.records), MPI_COMM_WORLD);
  references.name = name_of(chosen.references);
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
