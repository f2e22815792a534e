// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign win-rate`: how often a policy beats the reference policy under an inference-time procedure, its expected reward, or pass@k.

#include <CLI/CLI.hpp>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands.hpp"
#include "estimand.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "prompt_mean.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "strata.hpp"
#include "text_table.hpp"
#include "variance_parts.hpp"

namespace command {

namespace {

struct win_rate_options : estimand_options, report_options {
  record_options records;
  std::string short_prompts = "error";
  std::string policy;
  std::string per_prompt;
  std::string interval = "student";
  stratum_options by_stratum;
  bool split_variance = false;
  purchase_options purchase;
};

/// The key of the estimate in JSON.
const char* key_of(const estimand& what) {
  return what.is_win_rate() ? "win_rate" : "value";
}

struct win_rate_report {
  const std::vector<double>& values;  ///< of the prompts
  const strata& kinds;
  infalign::estimate mean;
  infalign::confidence_interval interval;
  std::optional<variance_parts> variance;
  std::optional<infalign::sampling_plan> purchase;
  left_out without;
};

std::string report(const win_rate_options& chosen, const estimand& what, const win_rate_report& of) {
  const auto& [values, kinds, mean, interval, variance, purchase, without] = of;
  const procedures& served = what.served();
  if (chosen.json) {
    json_object found;
    found.add("prompts", static_cast<long long>(values.size()));
    if (!chosen.records.cluster_field.empty()) found.add("clusters", static_cast<long long>(mean.count));
    what.add_name(found);
    found.add(key_of(what), mean.value);
    found.add("standard_error", mean.standard_error);
    add_interval(found, mean, interval);
    kinds.add(found, key_of(what), values);
    if (variance) add_variance(found, *variance, mean);
    if (purchase) add_purchase(found, chosen.purchase, *purchase);
    add_left_out(found, without);
    return found.add("level", chosen.level).text() + '\n';
  }
  std::vector<std::string> header{"procedure", "prompts", what.title(), "s.e.",
                                  fmt::format("{:g} % interval", 100 * chosen.level)};
  std::vector<std::string> row{what.procedure_name(), std::to_string(values.size()), value_text(mean), error_text(mean),
                               interval_text(mean, interval)};
  if (what.is_win_rate()) {
    header.insert(header.begin() + 1, "reference");
    row.insert(row.begin() + 1, served.reference.name());
  }
  text_table table(std::move(header));
  table.add(std::move(row));
  return table.text() + kinds.text(what.title(), values, what.range(), chosen.level) + clusters_text(chosen.records, mean) +
         (variance ? variance_text(*variance, mean) : "") + (purchase ? purchase_text(chosen.purchase, *purchase) : "") +
         left_out_text(without);
}

void run(const win_rate_options& chosen) {
  check_level(chosen.level);
  expect_no_standard_output("--per-prompt", chosen.per_prompt);
  if (chosen.policy == "-" && chosen.reference == "-")
    throw usage_failure("--policy and --reference: only one of them can be standard input");
  const estimand what = estimand::parse(chosen);
  const record_options records = what.with_answers(chosen.records, chosen);
  check(records);
  check(chosen.by_stratum, records);
  if (chosen.split_variance && !(records.cluster_field.empty() && records.stratum_field.empty()))
    throw usage_failure("--variance-split: is for prompts that are sampled one by one, without clusters and strata");
  check(chosen.purchase, chosen.split_variance);
  if (chosen.interval != "student" && !records.stratum_field.empty())
    throw usage_failure(fmt::format("--interval {}: is for prompts without strata", chosen.interval));
  reward_table policy = read_rewards(chosen.policy, records);
  reward_table reference = what.has_reference() ? read_rewards(chosen.reference, records.without_cluster()) : reward_table();
  left_out without{.missing_rewards = policy.missing + reference.missing};
  if (chosen.short_prompts == "skip")
    without.short_prompts = drop_short_prompts(std::array<required, 2>{
        {{&policy, what.served().policy.samples_needed()}, {&reference, what.served().reference.samples_needed()}}});
  const std::vector<double> values = what.of(policy, reference);
  const strata kinds(policy, chosen.by_stratum);
  const infalign::estimate mean = kinds.mean(values, policy.clusters, what.range());
  const auto interval = interval_of(chosen.interval, mean, values, policy.clusters, chosen.level);
  std::optional<variance_parts> variance;
  if (chosen.split_variance) variance = split_variance(what, policy, reference);
  std::optional<infalign::sampling_plan> purchase;
  if (chosen.purchase.error) purchase = plan_purchase(chosen.purchase, *variance, what.served().policy.samples_needed());
  const std::string text = report(chosen, what, {values, kinds, mean, interval, variance, purchase, without});
  if (!chosen.per_prompt.empty()) write_per_prompt(chosen.per_prompt, policy, key_of(what), values);
  write_output("-", text);
}

constexpr const char* win_rate_explanation =
    "The estimate of a prompt is unbiased, ties count one half. The prompt is the unit of sampling: the standard error is "
    "that\n"
    "of a mean over prompts, in the unit of the estimate (a win rate is from 0 to 1, not per cent). The interval is "
    "Student's,\n"
    "with a few pseudo-prompts that were won or lost for what was not seen: it stays within 0 … 1, and it has a width even if\n"
    "all prompts were won. With one prompt neither is known (null in JSON). Prompts that only the reference has are left out.\n"
    "Where prompts come in clusters (questions about one text, variants of one task), --cluster FIELD names them: clusters "
    "are\n"
    "then the unit of sampling. --interval bootstrap resamples prompts (or clusters) instead; --interval anytime may be looked "
    "at\n"
    "after every prompt, and stopped at when it pleases: it holds at all moments together, and is about twice as wide.\n"
    "--variance-split says what to buy more of: how much of the variance more prompts take away alone, how much more samples "
    "of\n"
    "each would too, and the error with twice as many of either; of win rates and best-of-N by two random halves of the "
    "samples.\n"
    "With --target-error 0.005 it also says which numbers of prompts and samples reach that standard error at the least cost. "
    "A\n"
    "prompt costs --prompt-cost, each of its samples --sample-cost; with a reference, a sample is one of the policy and as "
    "many\n"
    "references as there are now for one. Fewer samples than there are now let best-of-N err a little more than is said.\n"
    "Judgments of pairs, such as AlpacaEval's, are for infalign preferences.\n"
    "\n";

constexpr const char* win_rate_examples =
    "Examples:\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --procedure best_of:4\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --procedure best_of:4 --reference-procedure standard "
    "--json\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --procedure worst_of:8 --per-prompt rows.jsonl\n"
    "  infalign win-rate --policy passes.jsonl --estimand pass@5 --cluster repository\n"
    "  infalign win-rate --policy answers.jsonl --estimand maj@16 --answer-field boxed\n"
    "  infalign win-rate --policy passes.jsonl --estimand pass@1 --stratum difficulty --stratum-weight easy=0.7 hard=0.3\n"
    "  infalign win-rate --policy passes.jsonl --estimand pass@1 --variance-split\n"
    "  infalign win-rate --policy pilot.jsonl --estimand pass@1 --variance-split --target-error 0.01 --prompt-cost 20\n"
    "  infalign win-rate --policy policy.jsonl --estimand expected-reward --procedure best_of:4\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --estimand expected-transform --transform exponential:10";

}  // namespace

void add_win_rate(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "win-rate", "Win rate of a policy against the reference policy, its expected reward, or pass@k, with the error.");
  command->alias("winrate");  // its name before 0.2
  const auto chosen = std::make_shared<win_rate_options>();
  command->add_option("--policy", chosen->policy, "Rewards of samples of the policy; - for standard input")->required();
  add_estimand(*command, *chosen);
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  add_cluster(*command, chosen->records);
  command->add_option("--per-prompt", chosen->per_prompt, "Write the win rate of every prompt here, one record a line");
  add_strata(*command, chosen->records, chosen->by_stratum);
  add_interval_kind(*command, chosen->interval);
  command->add_flag("--variance-split", chosen->split_variance, "Whether the error comes from prompts or from samples of each");
  add_purchase(*command, chosen->purchase);
  add_report(*command, *chosen);
  command->footer(records_help() + estimand_help() + win_rate_explanation + strata_help() + "\n" + procedure_list() +
                  transform_list() + win_rate_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
