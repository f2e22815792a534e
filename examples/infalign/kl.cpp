// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign kl`: how far a policy is from its base, from the log-probabilities of sampled responses under both.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/evaluation/sequence_kl.hpp"
#include "output_file.hpp"
#include "paired_table.hpp"
#include "prompt_mean.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

using infalign::index_t;

struct kl_options : report_options {
  record_options records;
  std::string file;
  std::string policy_field = "log_prob", base_field = "base_log_prob";
};

infalign::sequence_kl_estimates estimates(const paired_table& table) {
  std::vector<index_t> offsets(table.first.size() + 1);
  std::iota(offsets.begin(), offsets.end(), index_t{0});  // a response is one number
  return infalign::sequence_kl(infalign::ragged<const double>(table.first, offsets),
                               infalign::ragged<const double>(table.second, offsets), {}, table.sample_clusters());
}

std::string report(const kl_options& chosen, const paired_table& table, const infalign::sequence_kl_estimates& found) {
  const std::pair<const char*, const infalign::estimate*> all[] = {{"k1", &found.k1}, {"k2", &found.k2}, {"k3", &found.k3}};
  if (chosen.json) {
    json_object of;
    of.add("responses", static_cast<long long>(table.first.size()))
        .add("prompts", static_cast<long long>(table.prompts.size()));
    if (!table.clusters.empty()) of.add("clusters", static_cast<long long>(found.k1.count));
    for (const auto& [name, e] : all) {
      json_object one;
      one.add("value", e->value);
      add_error(one, *e, chosen.level);
      of.add(name, one);
    }
    return of.add("missing_responses", static_cast<long long>(table.missing)).add("level", chosen.level).text() + '\n';
  }
  text_table out({"estimate", "KL, nats", "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  for (const auto& [name, e] : all) out.add({name, value_text(*e), error_text(*e), interval_text(*e, chosen.level)});
  return out.text() + fmt::format("{} responses to {} prompts\n", table.first.size(), table.prompts.size()) +
         clusters_text(chosen.records, found.k1) +
         (table.missing > 0 ? fmt::format("left out: {} responses with a missing number\n", table.missing) : "");
}

void run(const kl_options& chosen) {
  check_level(chosen.level);
  if (chosen.file == "-") throw usage_failure("the file is read twice, so it cannot be standard input");
  record_options records = chosen.records;
  for (const std::string& field : {chosen.policy_field, chosen.base_field}) {
    records.reward_field = field;
    check(records);
  }
  paired_table table = read_pairs(chosen.file, chosen.records, chosen.policy_field, chosen.base_field);
  table.drop_short(1);  // all responses to a prompt may be missing
  write_output("-", report(chosen, table, estimates(table)));
}

constexpr const char* kl_explanation =
    "Every record has the log-probability of a response that the policy sampled, summed over its tokens, under the policy and "
    "under\n"
    "its base; or two lists of them. With d = log base - log policy, k1 is the mean of -d (unbiased, may be negative), k2 that "
    "of\n"
    "d²/2 (biased where the policies are far apart), k3 that of e^d - d - 1 (unbiased, never negative). All estimate the KL of "
    "whole\n"
    "responses, in nats. Where they differ by more than their errors, few responses decide: trust k1. The prompt is the unit "
    "of\n"
    "sampling, or the cluster with --cluster FIELD.\n"
    "\n";

constexpr const char* kl_examples =
    "Examples:\n"
    "  infalign kl responses.jsonl\n"
    "  infalign kl responses.jsonl --policy-field scores.policy --base-field scores.base --json";

}  // namespace

void add_kl(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("kl", "KL of a policy to its base, from log-probabilities of sampled responses.");
  const auto chosen = std::make_shared<kl_options>();
  command->add_option("file,--responses", chosen->file, "The file with both log-probabilities of every response")->required();
  command->add_option("--prompt-field", chosen->records.prompt_field, "Field with the prompt's id")->capture_default_str();
  command->add_option("--policy-field", chosen->policy_field, "Field with the log-probability under the policy")
      ->capture_default_str();
  command->add_option("--base-field", chosen->base_field, "Field with that under the base policy")->capture_default_str();
  add_missing(*command, chosen->records, "log-probability");
  add_cluster(*command, chosen->records);
  add_report(*command, *chosen);
  command->footer(std::string(kl_explanation) + kl_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
