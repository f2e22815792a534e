// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign compare`: which of two policies wins more against one reference policy, or has more reward or passes, paired by prompt.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "estimand.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/statistics/multiple_tests.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "printable.hpp"
#include "prompt_mean.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "strata.hpp"
#include "text_table.hpp"

namespace command {

namespace {

struct compare_options : estimand_options, report_options {
  record_options records;
  std::string short_prompts = "error";
  std::vector<std::string> policies;
  std::string baseline;
  stratum_options by_stratum;
};

struct compared_policy {
  std::string name;
  infalign::estimate own;
  infalign::estimate difference;
  double p_value;                     ///< NaN for a single prompt, of which the test says nothing
  double adjusted_p_value = p_value;  ///< for the number of policies
};

struct comparison {
  std::size_t prompts;
  std::size_t strata;  ///< 0 if every prompt counts the same
  infalign::estimate baseline;
  std::vector<compared_policy> policies;
};

/// Every prompt of `table` must be in `other`.
void expect_prompts(const reward_table& table, const reward_table& other) {
  for (std::size_t p = 0; p < table.prompts.size(); ++p)
    if (!other.prompts.find(table.prompts.id(p)))
      fail("{}:{}: prompt {} is not in {}, and a comparison is paired by prompt", table.name, table.first_line[p],
           table.prompts.shown(p), other.name);
}

/// The estimates of `what` for the prompts of `table`, in the order of `first`, which has the same prompts.
std::vector<double> in_order_of(const reward_table& first, const reward_table& table, const reward_table& reference,
                                const estimand& what) {
  expect_prompts(first, table);
  expect_prompts(table, first);
  const std::vector<double> own = what.of(table, reference);
  std::vector<double> ordered(own.size());
  for (std::size_t p = 0; p < own.size(); ++p) ordered[p] = own[*table.prompts.find(first.prompts.id(p))];
  return ordered;
}

/// Clusters and strata are those of the first policy.
comparison compare(const std::vector<reward_table>& policies, const reward_table& baseline, const reward_table& reference,
                   const estimand& what, const stratum_options& by_stratum) {
  const reward_table& first = policies.front();
  const strata kinds(first, by_stratum);
  const auto mean = [&](const std::vector<double>& values, infalign::quantity_range range) {
    return kinds.mean(values, first.clusters, range);
  };
  const std::vector<double> base = in_order_of(first, baseline, reference, what);
  comparison found{base.size(), kinds.size(), mean(base, what.range()), {}};
  for (const reward_table& policy : policies) {
    const std::vector<double> own = in_order_of(first, policy, reference, what);
    std::vector<double> difference(own.size());
    for (std::size_t p = 0; p < own.size(); ++p) difference[p] = own[p] - base[p];
    found.policies.push_back({policy.name, mean(own, what.range()), mean(difference, what.difference_range()),
                              p_value(kinds.empty() ? difference : kinds.weighted(difference), first.clusters)});
  }
  std::vector<double> p_values;
  for (const compared_policy& of : found.policies)
    if (!std::isnan(of.p_value)) p_values.push_back(of.p_value);
  if (p_values.size() == found.policies.size()) {
    const std::vector<double> adjusted = infalign::holm_adjusted(p_values);
    for (std::size_t i = 0; i < adjusted.size(); ++i) found.policies[i].adjusted_p_value = adjusted[i];
  }
  return found;
}

std::string report_json(const compare_options& chosen, const estimand& what, const comparison& found, const left_out& without) {
  const auto side = [&](const infalign::estimate& e) {
    return json_object().add(what.is_win_rate() ? "win_rate" : "value", e.value).add("standard_error", e.standard_error);
  };
  const auto add_difference = [&](json_object& to, const compared_policy& of) {
    to.add("difference", of.difference.value);
    add_error(to, of.difference, chosen.level);
  };
  json_object all;
  all.add("prompts", static_cast<long long>(found.prompts));
  if (!chosen.records.cluster_field.empty()) all.add("clusters", static_cast<long long>(found.baseline.count));
  if (found.strata > 0) all.add("strata", static_cast<long long>(found.strata));
  what.add_name(all);
  if (found.policies.size() == 1) {
    all.add("policy", side(found.policies.front().own)).add("baseline", side(found.baseline));
    add_difference(all, found.policies.front());
  } else {
    std::string rows;
    for (const compared_policy& of : found.policies) {
      json_object row;
      row.add("name", of.name).add("policy", side(of.own));
      add_difference(row, of);
      rows += (rows.empty() ? "" : ", ") + row.add("p_value", of.p_value).add("adjusted_p_value", of.adjusted_p_value).text();
    }
    all.add("baseline", side(found.baseline)).add_raw("policies", "[" + rows + "]");
  }
  add_left_out(all, without);
  all.add("level", chosen.level);
  if (found.policies.size() == 1) all.add("p_value", found.policies.front().p_value);
  return all.text() + '\n';
}

/// One policy: a row a side, and one for the difference. Several: a row a policy, with its difference from the baseline.
text_table report_table(const compare_options& chosen, const estimand& what, const comparison& found) {
  const std::string interval = fmt::format("{:g} % interval", 100 * chosen.level);
  const auto cells = [&](const infalign::estimate& e) {
    return std::vector<std::string>{value_text(e), error_text(e), interval_text(e, chosen.level)};
  };
  std::vector<std::string> header{"", what.title(), "s.e.", interval};
  const bool several = found.policies.size() > 1;
  if (several) header.insert(header.end(), {"difference", "s.e.", interval, "p-value", "adjusted"});
  text_table table(header);
  const auto add = [&](const std::string& name, const infalign::estimate& own, std::vector<std::string> more) {
    std::vector<std::string> row = cells(own);
    row.insert(row.begin(), name);
    row.insert(row.end(), more.begin(), more.end());
    row.resize(header.size());
    table.add(std::move(row));
  };
  for (const compared_policy& of : found.policies) {
    std::vector<std::string> more = cells(of.difference);
    for (const double p : {of.p_value, of.adjusted_p_value}) more.push_back(std::isnan(p) ? "–" : fmt::format("{:.3g}", p));
    add(of.name, of.own, several ? more : std::vector<std::string>{});
  }
  add(chosen.baseline, found.baseline, {});
  if (!several) add("difference", found.policies.front().difference, {});
  return table;
}

std::string report(const compare_options& chosen, const estimand& what, const comparison& found, const left_out& without) {
  if (chosen.json) return report_json(chosen, what, found, without);
  const double p = found.policies.front().p_value;
  std::string below = fmt::format("{} prompt{}, ", found.prompts, found.prompts == 1 ? "" : "s");
  if (found.policies.size() > 1)
    below += fmt::format("differences from {}; two-sided p-values, each for itself and adjusted for their number\n",
                         excerpt(chosen.baseline));
  else
    below += std::isnan(p) ? "no p-value\n" : fmt::format("two-sided p-value {:.3g}\n", p);
  if (found.strata > 0)
    below += fmt::format("means over {} strata of {}\n", found.strata, excerpt(chosen.records.stratum_field));
  return report_table(chosen, what, found).text() + below + clusters_text(chosen.records, found.baseline) +
         left_out_text(without);
}

void run(const compare_options& chosen) {
  check_level(chosen.level);
  std::vector<std::string> files = chosen.policies;
  files.insert(files.end(), {chosen.baseline, chosen.reference});
  if (std::count(files.begin(), files.end(), "-") > 1)
    throw usage_failure("--policy, --baseline and --reference: only one of them can be standard input");
  const estimand what = estimand::parse(chosen);
  const record_options records = what.with_answers(chosen.records, chosen);
  check(records);
  check(chosen.by_stratum, records);
  const record_options others = records.without_cluster();
  std::vector<reward_table> policies;
  for (const std::string& file : chosen.policies) policies.push_back(read_rewards(file, policies.empty() ? records : others));
  reward_table baseline = read_rewards(chosen.baseline, others);
  reward_table reference = what.has_reference() ? read_rewards(chosen.reference, others) : reward_table();
  left_out without{.missing_rewards = baseline.missing + reference.missing};
  const auto needed = what.served().policy.samples_needed();
  std::vector<required> all;
  for (reward_table& policy : policies) {
    all.push_back({&policy, needed});
    without.missing_rewards += policy.missing;
  }
  all.insert(all.end(), {{&baseline, needed}, {&reference, what.served().reference.samples_needed()}});
  if (chosen.short_prompts == "skip") without.short_prompts = drop_short_prompts(all);
  write_output("-", report(chosen, what, compare(policies, baseline, reference, what, chosen.by_stratum), without));
}

constexpr const char* compare_explanation =
    "Both policies are measured against the same reference samples of the same prompts, as `infalign win-rate` does; the\n"
    "difference is policy minus baseline, its error that of the per-prompt differences. The two-sided p-value is the share of\n"
    "choices of their signs that give a sum as far from 0: exact for up to 20 differences, by 99,999 random choices above. It\n"
    "asks whether the policies differ at all. The interval asks by how much, and allows for prompts that were not seen, so it\n"
    "may hold 0 where the p-value is small. All files must hold the same prompts.\n"
    "Several policies are each compared with the baseline; of many p-values the smallest is small by chance, so they are "
    "given\n"
    "adjusted for their number as well (Holm): that any of those below 5 % is there by chance has a probability of at most 5 "
    "%.\n"
    "Where prompts come in clusters, --cluster FIELD names them: errors are by cluster, and the signs of a cluster flip "
    "together.\n"
    "\n";

constexpr const char* compare_examples =
    "Examples:\n"
    "  infalign compare --policy a.jsonl --baseline b.jsonl --reference base.jsonl --procedure best_of:4\n"
    "  infalign compare --policy a.jsonl --baseline b.jsonl --reference base.jsonl --procedure worst_of:4 --level 0.99 --json\n"
    "  infalign compare --policy a.jsonl --policy b.jsonl --policy c.jsonl --baseline base.jsonl --estimand pass@10";

}  // namespace

void add_compare(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "compare",
      "Difference of two policies in win rate against one reference policy, in expected reward or pass@k, paired by prompt.");
  const auto chosen = std::make_shared<compare_options>();
  command->add_option("--policy", chosen->policies, "Rewards of samples of a policy, or of several; - for standard input")
      ->required();
  command->add_option("--baseline", chosen->baseline, "Rewards of samples of what it is compared with; - for standard input")
      ->required();
  add_estimand(*command, *chosen);
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  add_cluster(*command, chosen->records);
  add_strata(*command, chosen->records, chosen->by_stratum);
  add_report(*command, *chosen);
  command->footer(records_help() + estimand_help() + compare_explanation + strata_help() + "\n" + procedure_list() +
                  transform_list() + compare_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
