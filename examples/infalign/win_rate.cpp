// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign win-rate`: how often a policy beats the reference policy under an inference-time procedure.

#include <CLI/CLI.hpp>
#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "commands.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/statistics/summarize.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"
#include "win_rate_estimate.hpp"

namespace command {

namespace {

struct win_rate_options : procedure_options, report_options {
  record_options records;
  std::string short_prompts = "error";
  std::string policy;
  std::string reference;
  std::string per_prompt;
};

void write_per_prompt(const std::string& path, const reward_table& policy, const std::vector<double>& wins) {
  output_file out(path);
  for (std::size_t p = 0; p < wins.size(); ++p) {
    json_object row;
    row.add_raw("prompt_id", policy.prompts.json(p)).add("win_rate", wins[p]);
    out.buffer() += row.text() + '\n';
    out.flush_if_full();
  }
  out.commit();
}

std::string report(const win_rate_options& chosen, const procedures& served, const infalign::estimate& mean,
                   const left_out& without) {
  if (chosen.json) {
    json_object found;
    found.add("prompts", static_cast<long long>(mean.count)).add("win_rate", mean.value);
    add_error(found, mean, chosen.level);
    add_left_out(found, without);
    return found.add("level", chosen.level).text() + '\n';
  }
  text_table table(
      {"procedure", "reference", "prompts", "win rate", "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  table.add({served.policy.name(), served.reference.name(), std::to_string(mean.count), fmt::format("{:.4f}", mean.value),
             error_text(mean), interval_text(mean, chosen.level)});
  return table.text() + left_out_text(without);
}

void run(const win_rate_options& chosen) {
  check_level(chosen.level);
  expect_no_standard_output("--per-prompt", chosen.per_prompt);
  if (chosen.policy == "-" && chosen.reference == "-")
    throw usage_failure("--policy and --reference: only one of them can be standard input");
  check(chosen.records);
  const procedures served = procedures::parse(chosen);
  reward_table policy = read_rewards(chosen.policy, chosen.records);
  reward_table reference = read_rewards(chosen.reference, chosen.records);
  left_out without{.missing_rewards = policy.missing + reference.missing};
  if (chosen.short_prompts == "skip")
    without.short_prompts = drop_short_prompts(
        std::array<required, 2>{{{&policy, served.policy.samples_needed()}, {&reference, served.reference.samples_needed()}}});
  const std::vector<double> wins = win_rates(policy, reference, served);
  infalign::simd on;
  const infalign::estimate mean = infalign::summarize(on, wins, infalign::win_rate_range);
  if (!chosen.per_prompt.empty()) write_per_prompt(chosen.per_prompt, policy, wins);
  write_output("-", report(chosen, served, mean, without));
}

constexpr const char* explanation =
    "The estimate of a prompt is unbiased, ties count one half. The prompt is the unit of sampling: the standard error is that "
    "of a mean over prompts. The interval is Student's, with a few\n"
    "pseudo-prompts that were won or lost for what was not seen: it stays within 0 … 1, and it has a width even if all "
    "prompts\n"
    "were won. With one prompt neither is known (null in JSON). Prompts that only the reference has are left out.\n"
    "\n";

constexpr const char* examples =
    "Examples:\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --procedure best_of:4\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --procedure best_of:4 --reference-procedure standard "
    "--json\n"
    "  infalign win-rate --policy policy.jsonl --reference base.jsonl --procedure worst_of:8 --per-prompt rows.jsonl";

}  // namespace

void add_win_rate(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("win-rate", "Win rate of a policy against the reference policy, with its error.");
  command->alias("winrate");  // its name before 0.2
  const auto chosen = std::make_shared<win_rate_options>();
  command->add_option("--policy", chosen->policy, "Rewards of samples of the policy; - for standard input")->required();
  command->add_option("--reference", chosen->reference, "Rewards of samples of the reference policy; - for standard input")
      ->required();
  add_procedures(*command, *chosen, "the reference policy");
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  command->add_option("--per-prompt", chosen->per_prompt, "Write the win rate of every prompt here, one record a line");
  add_report(*command, *chosen);
  command->footer(records_help() + explanation + procedure_list() + examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
