// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign kl`: how far a policy is from its base, from the log-probabilities of sampled responses under both, or best-of-N from its.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <numeric>
#include <optional>
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
#include "served_kl.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

using infalign::index_t;

struct kl_options : report_options {
  record_options records;
  std::string file;
  std::optional<std::string> policy_field;
  std::string base_field = "base_log_prob";
  std::string procedure;     ///< empty unless it is best-of-N that is measured
  std::string reward_field;  ///< empty unless all responses of the base are there
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

void check_fields(const kl_options& chosen, std::initializer_list<std::string> fields) {
  record_options records = chosen.records;
  for (const std::string& field : fields) {
    records.reward_field = field;
    check(records);
  }
  if (fields.size() > 1 && *fields.begin() == *(fields.begin() + 1))
    throw usage_failure(fmt::format("{} is read as something else already", *fields.begin()));
  if (fields.size() > 1 && chosen.file == "-") throw usage_failure("the file is read twice, so it cannot be standard input");
}

void run_best_of(const kl_options& chosen) {
  const index_t n = best_of_count(chosen.procedure);
  if (chosen.policy_field) throw usage_failure("--policy-field: best-of-N is measured by probabilities under its base alone");
  served_kl_options of{{chosen.level, chosen.json}, chosen.records, chosen.file, chosen.reward_field};
  of.records.reward_field = chosen.base_field;
  if (chosen.file.empty() && !chosen.reward_field.empty())
    throw usage_failure("--reward-field: there is no file that would have it");
  if (chosen.reward_field.empty())
    check_fields(chosen, {chosen.base_field});
  else
    check_fields(chosen, {chosen.base_field, chosen.reward_field});
  write_output("-", served_kl_report(of, n));
}

void run(const kl_options& chosen) {
  check_level(chosen.level);
  if (!chosen.procedure.empty()) return run_best_of(chosen);
  if (!chosen.reward_field.empty()) throw usage_failure("--reward-field: is for --procedure best_of:N");
  if (chosen.file.empty()) throw usage_failure("file is required (see --help)");
  const std::string policy_field = chosen.policy_field.value_or("log_prob");
  check_fields(chosen, {policy_field, chosen.base_field});
  paired_table table = read_pairs(chosen.file, chosen.records, policy_field, chosen.base_field);
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
    "\n"
    "--procedure best_of:N asks how far best-of-N is from its base instead. Without a file it is the bound log N - (N-1)/N, "
    "which\n"
    "holds for every policy and is reached with continuous rewards. With the log-probabilities under the base of the "
    "responses\n"
    "that best-of-N served (--base-field) there is a tighter estimate: likely responses lower it, long ones hardly do. If the "
    "file\n"
    "has every response that there is to a prompt, once, --reward-field FIELD gives the KL exactly, ties included.\n"
    "\n";

constexpr const char* kl_examples =
    "Examples:\n"
    "  infalign kl responses.jsonl\n"
    "  infalign kl responses.jsonl --policy-field scores.policy --base-field scores.base --json\n"
    "  infalign kl --procedure best_of:16\n"
    "  infalign kl served.jsonl --procedure best_of:16\n"
    "  infalign kl choices.jsonl --procedure best_of:4 --reward-field correct";

}  // namespace

void add_kl(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("kl", "KL of a policy to its base, from log-probabilities of sampled responses; KL of best-of-N.");
  const auto chosen = std::make_shared<kl_options>();
  command->add_option("file,--responses", chosen->file, "The file with both log-probabilities of every response");
  command->add_option("--procedure", chosen->procedure, "best_of:N, to measure how far it is from its base");
  command->add_option("--reward-field", chosen->reward_field,
                      "Field with the reward, where the file has all responses: the KL of best-of-N is then exact");
  command->add_option("--prompt-field", chosen->records.prompt_field, "Field with the prompt's id")->capture_default_str();
  command->add_option("--policy-field", chosen->policy_field,
                      "Field with the log-probability under the policy (default: log_prob)");
  command->add_option("--base-field", chosen->base_field, "Field with that under the base policy")->capture_default_str();
  add_missing(*command, chosen->records, "log-probability");
  add_cluster(*command, chosen->records);
  add_report(*command, *chosen);
  command->footer(std::string(kl_explanation) + kl_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
