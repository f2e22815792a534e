// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign compare`: which of two policies wins more against one reference policy, paired by prompt.

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "commands.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/statistics/sign_flip.hpp"
#include "infalign/statistics/summarize.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"
#include "win_rate_estimate.hpp"

namespace command {

namespace {

struct compare_options : procedure_options, report_options {
  record_options records;
  std::string short_prompts = "error";
  std::string policy;
  std::string baseline;
  std::string reference;
};

struct comparison {
  infalign::estimate policy;
  infalign::estimate baseline;
  infalign::estimate difference;
  double p_value;  ///< NaN for a single prompt, of which the test says nothing
};

/// Every prompt of `table` must be in `other`.
void expect_prompts(const reward_table& table, const reward_table& other) {
  for (std::size_t p = 0; p < table.prompts.size(); ++p)
    if (!other.prompts.find(table.prompts.id(p)))
      fail("{}:{}: prompt {} is not in {}, and a comparison is paired by prompt", table.name, table.first_line[p],
           table.prompts.json(p), other.name);
}

comparison compare(const reward_table& policy, const reward_table& baseline, const reward_table& reference,
                   const procedures& served) {
  expect_prompts(policy, baseline);
  expect_prompts(baseline, policy);
  const std::vector<double> wins = win_rates(policy, reference, served);
  const std::vector<double> baseline_wins = win_rates(baseline, reference, served);
  std::vector<double> difference(wins.size());
  for (std::size_t p = 0; p < wins.size(); ++p)
    difference[p] = wins[p] - baseline_wins[*baseline.prompts.find(policy.prompts.id(p))];
  infalign::simd on;
  return {infalign::summarize(on, wins, infalign::win_rate_range),
          infalign::summarize(on, baseline_wins, infalign::win_rate_range),
          infalign::summarize(on, difference, infalign::win_rate_difference_range),
          difference.size() > 1 ? infalign::sign_flip_p_value(difference) : std::nan("")};
}

std::string report(const compare_options& chosen, const comparison& found, const left_out& without) {
  const auto side = [](const infalign::estimate& e) {
    return json_object().add("win_rate", e.value).add("standard_error", e.standard_error);
  };
  if (chosen.json) {
    json_object all;
    all.add("prompts", static_cast<long long>(found.difference.count))
        .add("policy", side(found.policy))
        .add("baseline", side(found.baseline))
        .add("difference", found.difference.value);
    add_error(all, found.difference, chosen.level);
    add_left_out(all, without);
    return all.add("level", chosen.level).add("p_value", found.p_value).text() + '\n';
  }
  text_table table({"", "win rate", "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  const auto row = [&](const std::string& name, const infalign::estimate& e) {
    table.add({name, fmt::format("{:.4f}", e.value), error_text(e), interval_text(e, chosen.level)});
  };
  row(chosen.policy, found.policy);
  row(chosen.baseline, found.baseline);
  row("difference", found.difference);
  const long long prompts = found.difference.count;
  return table.text() +
         (prompts > 1 ? fmt::format("{} prompts, two-sided p-value {:.3g}\n", prompts, found.p_value)
                      : "1 prompt, no p-value\n") +
         left_out_text(without);
}

void run(const compare_options& chosen) {
  check_level(chosen.level);
  if ((chosen.policy == "-") + (chosen.baseline == "-") + (chosen.reference == "-") > 1)
    throw usage_failure("--policy, --baseline and --reference: only one of them can be standard input");
  check(chosen.records);
  const procedures served = procedures::parse(chosen);
  reward_table policy = read_rewards(chosen.policy, chosen.records);
  reward_table baseline = read_rewards(chosen.baseline, chosen.records);
  reward_table reference = read_rewards(chosen.reference, chosen.records);
  left_out without{.missing_rewards = policy.missing + baseline.missing + reference.missing};
  const auto needed = served.policy.samples_needed();
  if (chosen.short_prompts == "skip")
    without.short_prompts = drop_short_prompts(
        std::array<required, 3>{{{&policy, needed}, {&baseline, needed}, {&reference, served.reference.samples_needed()}}});
  write_output("-", report(chosen, compare(policy, baseline, reference, served), without));
}

constexpr const char* explanation =
    "Both policies are measured against the same reference samples of the same prompts, as `infalign win-rate` does; the\n"
    "difference is policy minus baseline, its error that of the per-prompt differences. The two-sided p-value is the share of\n"
    "choices of their signs that give a sum as far from 0: exact for up to 20 differences, by 99,999 random choices above. It\n"
    "asks whether the policies differ at all. The interval asks by how much, and allows for prompts that were not seen, so it\n"
    "may hold 0 where the p-value is small. Both files must hold the same prompts.\n"
    "\n";

constexpr const char* examples =
    "Examples:\n"
    "  infalign compare --policy a.jsonl --baseline b.jsonl --reference base.jsonl --procedure best_of:4\n"
    "  infalign compare --policy a.jsonl --baseline b.jsonl --reference base.jsonl --procedure worst_of:4 --level 0.99 --json";

}  // namespace

void add_compare(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "compare", "Difference in win rate of two policies against one reference policy, paired by prompt.");
  const auto chosen = std::make_shared<compare_options>();
  command->add_option("--policy", chosen->policy, "Rewards of samples of one policy; - for standard input")->required();
  command->add_option("--baseline", chosen->baseline, "Rewards of samples of the other; - for standard input")->required();
  command->add_option("--reference", chosen->reference, "Rewards of samples of the reference policy; - for standard input")
      ->required();
  add_procedures(*command, *chosen, "the reference policy");
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  add_report(*command, *chosen);
  command->footer(records_help() + explanation + procedure_list() + examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
