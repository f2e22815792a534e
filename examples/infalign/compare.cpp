// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign compare`: which of two policies wins more against one reference policy, or has more reward or passes, paired by prompt.

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "commands.hpp"
#include "estimand.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/statistics/sign_flip.hpp"
#include "infalign/statistics/summarize.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

struct compare_options : estimand_options, report_options {
  record_options records;
  std::string short_prompts = "error";
  std::string policy;
  std::string baseline;
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
           table.prompts.shown(p), other.name);
}

comparison compare(const reward_table& policy, const reward_table& baseline, const reward_table& reference,
                   const estimand& what) {
  expect_prompts(policy, baseline);
  expect_prompts(baseline, policy);
  const std::vector<double> own = what.of(policy, reference);
  const std::vector<double> other = what.of(baseline, reference);
  std::vector<double> difference(own.size());
  for (std::size_t p = 0; p < own.size(); ++p) difference[p] = own[p] - other[*baseline.prompts.find(policy.prompts.id(p))];
  infalign::simd on;
  return {infalign::summarize(on, own, what.range()), infalign::summarize(on, other, what.range()),
          infalign::summarize(on, difference, what.difference_range()),
          difference.size() > 1 ? infalign::sign_flip_p_value(difference) : std::nan("")};
}

std::string report(const compare_options& chosen, const estimand& what, const comparison& found, const left_out& without) {
  const auto side = [&](const infalign::estimate& e) {
    return json_object().add(what.is_win_rate() ? "win_rate" : "value", e.value).add("standard_error", e.standard_error);
  };
  if (chosen.json) {
    json_object all;
    all.add("prompts", static_cast<long long>(found.difference.count));
    if (!what.is_win_rate()) all.add("estimand", what.name());
    all.add("policy", side(found.policy)).add("baseline", side(found.baseline)).add("difference", found.difference.value);
    add_error(all, found.difference, chosen.level);
    add_left_out(all, without);
    return all.add("level", chosen.level).add("p_value", found.p_value).text() + '\n';
  }
  text_table table({"", what.title(), "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  const auto row = [&](const std::string& name, const infalign::estimate& e) {
    table.add({name, value_text(e), error_text(e), interval_text(e, chosen.level)});
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
  const estimand what = estimand::parse(chosen);
  reward_table policy = read_rewards(chosen.policy, chosen.records);
  reward_table baseline = read_rewards(chosen.baseline, chosen.records);
  reward_table reference = what.is_win_rate() ? read_rewards(chosen.reference, chosen.records) : reward_table();
  left_out without{.missing_rewards = policy.missing + baseline.missing + reference.missing};
  const auto needed = what.served().policy.samples_needed();
  if (chosen.short_prompts == "skip")
    without.short_prompts = drop_short_prompts(std::array<required, 3>{
        {{&policy, needed}, {&baseline, needed}, {&reference, what.served().reference.samples_needed()}}});
  write_output("-", report(chosen, what, compare(policy, baseline, reference, what), without));
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
    "  infalign compare --policy a.jsonl --baseline b.jsonl --reference base.jsonl --procedure worst_of:4 --level 0.99 --json\n"
    "  infalign compare --policy a.jsonl --baseline b.jsonl --estimand pass@10";

}  // namespace

void add_compare(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "compare",
      "Difference of two policies in win rate against one reference policy, in expected reward or pass@k, paired by prompt.");
  const auto chosen = std::make_shared<compare_options>();
  command->add_option("--policy", chosen->policy, "Rewards of samples of one policy; - for standard input")->required();
  command->add_option("--baseline", chosen->baseline, "Rewards of samples of the other; - for standard input")->required();
  add_estimand(*command, *chosen);
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  add_report(*command, *chosen);
  command->footer(records_help() + estimand_help() + explanation + procedure_list() + examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
