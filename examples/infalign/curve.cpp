// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign curve`: win rate, expected reward or pass@N for every N at once, and pass@N beyond what was sampled.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "beyond_samples.hpp"
#include "commands.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/curve.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "prompt_mean.hpp"
#include "record_options.hpp"
#include "reward_table.hpp"
#include "shared_options.hpp"
#include "strata.hpp"
#include "text_table.hpp"

namespace command {

namespace {

using infalign::index_t;

struct curve_options : report_options {
  record_options records;
  std::string policy, reference;
  std::optional<std::string> reference_serves;
  bool worst = false;
  std::optional<index_t> most;  ///< by default as many as the smallest prompt allows, at most 64
  std::string short_prompts = "error";
  std::vector<std::string> extrapolate;
  stratum_options by_stratum;
};

/// The values of all prompts at every step, N = 1 ….
using curve_columns = std::vector<std::vector<double>>;

struct curve_report {
  std::size_t prompts;
  curve_columns columns;
  strata kinds;
  infalign::quantity_range range;
  std::vector<infalign::estimate> steps;  ///< their means
  std::vector<beyond> beyond_samples;
  left_out without;
};

/// The reference with its prompts in the order of the policy.
reward_table in_order_of(const reward_table& policy, const reward_table& reference) {
  std::vector<std::uint32_t> partners;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    const auto partner = reference.prompts.find(policy.prompts.id(p));
    if (!partner)
      fail("{}:{}: prompt {} has no reference in {}", policy.name, policy.first_line[p], policy.prompts.shown(p),
           reference.name);
    partners.push_back(*partner);
  }
  return subset(reference, partners);
}

void expect_samples(const reward_table& table, index_t needed) {
  for (std::size_t p = 0; p < table.prompts.size(); ++p)
    if (table.count(p) < needed)
      fail("{}:{}: prompt {} has {} rewards, fewer than the {} of --most (--short skip leaves it out)", table.name,
           table.first_line[p], table.prompts.shown(p), table.count(p), needed);
}

std::string curve_title(const curve_options& chosen) {
  if (!chosen.reference.empty()) return "win rate";
  return "expected reward";
}

std::string report_json(const curve_options& chosen, const curve_report& of) {
  json_object found;
  found.add("prompts", static_cast<long long>(of.prompts));
  if (!chosen.records.cluster_field.empty()) found.add("clusters", static_cast<long long>(of.steps.front().count));
  std::string steps, more;
  for (std::size_t i = 0; i < of.steps.size(); ++i) {
    json_object step;
    step.add("n", static_cast<long long>(i + 1)).add("value", of.steps[i].value);
    add_error(step, of.steps[i], chosen.level);
    of.kinds.add(step, "value", of.columns[i]);
    steps += (i == 0 ? "" : ", ") + step.text();
  }
  for (const beyond& b : of.beyond_samples) {
    json_object model;
    model.add("n", b.attempts);
    for (const auto& [name, rate] : {std::pair{"beta_rates", b.beta}, {"power_law", b.power}}) {
      const auto interval = rate.interval(chosen.level);
      model.add(name,
                json_object()
                    .add("value", rate.value)
                    .add_raw("confidence_interval", fmt::format("[{}, {}]", number(interval.low), number(interval.high))));
    }
    more += (more.empty() ? "" : ", ") + model.text();
  }
  found.add("of", std::string(chosen.worst ? "worst" : "best")).add_raw("curve", "[" + steps + "]");
  if (!more.empty()) found.add_raw("extrapolated", "[" + more + "]");
  add_left_out(found, of.without);
  return found.add("level", chosen.level).text() + '\n';
}

std::string report(const curve_options& chosen, const curve_report& of) {
  if (chosen.json) return report_json(chosen, of);
  const std::string interval = fmt::format("{:g} % interval", 100 * chosen.level);
  text_table table({"N", curve_title(chosen), "s.e.", interval});
  const std::size_t last = of.steps.size();
  for (std::size_t n = 1; n <= last; n = n == last ? last + 1 : std::min(2 * n, last)) {
    const infalign::estimate& e = of.steps[n - 1];
    table.add({std::to_string(n), value_text(e), error_text(e), interval_text(e, chosen.level)});
  }
  std::string below = fmt::format("{} prompt{}, {} of N samples is served\n", of.prompts, of.prompts == 1 ? "" : "s",
                                  chosen.worst ? "the worst" : "the best");
  if (!of.beyond_samples.empty()) {
    text_table more({"N", "Beta rates", interval, "power law", interval});
    for (const beyond& b : of.beyond_samples) {
      const auto i = b.beta.interval(chosen.level), j = b.power.interval(chosen.level);
      const bool none = std::isnan(b.power.value);
      more.add({number(b.attempts), fmt::format("{:.4f}", b.beta.value), fmt::format("{:.4f} … {:.4f}", i.low, i.high),
                none ? "–" : fmt::format("{:.4f}", b.power.value), none ? "–" : fmt::format("{:.4f} … {:.4f}", j.low, j.high)});
    }
    below += "extrapolated:\n" + more.text();
  }
  const std::string by_stratum =
      of.kinds.text(fmt::format("{} at N = {}", curve_title(chosen), last), of.columns.back(), of.range, chosen.level);
  return table.text() + by_stratum + below + clusters_text(chosen.records, of.steps.front()) + left_out_text(of.without);
}

curve_columns columns_of(const std::vector<double>& curve, std::size_t steps) {
  curve_columns all(steps, std::vector<double>(curve.size() / steps));
  for (std::size_t i = 0; i < curve.size(); ++i) all[i % steps][i / steps] = curve[i];
  return all;
}

void run(const curve_options& chosen) {
  check_level(chosen.level);
  check(chosen.records);
  check(chosen.by_stratum, chosen.records);
  const bool of_win_rates = !chosen.reference.empty(), same = chosen.reference_serves.value_or("same") == "same";
  expect_at_least_one("--most", chosen.most);
  if (!of_win_rates && chosen.reference_serves)
    throw usage_failure("--reference-serves: there is no --reference that would serve");
  if (of_win_rates && !chosen.extrapolate.empty()) throw usage_failure("--extrapolate: is for passes, not for win rates");
  if (chosen.worst && !chosen.extrapolate.empty())
    throw usage_failure("--extrapolate: is for the best of N, not for the worst");
  if (!chosen.records.stratum_field.empty() && !chosen.extrapolate.empty())
    throw usage_failure("--extrapolate: is for prompts without strata");
  if (chosen.policy == "-" && chosen.reference == "-")
    throw usage_failure("--policy and --reference: only one of them can be standard input");
  const std::vector<double> targets = positive_numbers("--extrapolate", chosen.extrapolate);
  reward_table policy = read_rewards(chosen.policy, chosen.records);
  reward_table reference = of_win_rates ? read_rewards(chosen.reference, chosen.records.without_cluster()) : reward_table();
  left_out without{.missing_rewards = policy.missing + reference.missing};
  const index_t needed = chosen.most.value_or(1);
  if (chosen.short_prompts == "skip")
    without.short_prompts =
        of_win_rates ? drop_short_prompts(std::array<required, 2>{{{&policy, needed}, {&reference, same ? needed : 1}}})
                     : drop_short_prompts(std::array<required, 1>{{{&policy, needed}}});
  if (of_win_rates) reference = in_order_of(policy, reference);
  constexpr index_t usual = 64;
  const index_t all = of_win_rates && same ? std::min(fewest(policy), fewest(reference)) : fewest(policy);
  const index_t steps = chosen.most.value_or(std::max<index_t>(std::min(usual, all), 1));
  expect_samples(policy, steps);
  if (of_win_rates) expect_samples(reference, same ? steps : 1);
  std::vector<double> curve(policy.prompts.size() * static_cast<std::size_t>(steps));
  const infalign::rows<double> out(curve.data(), static_cast<index_t>(policy.prompts.size()), steps);
  const auto served = chosen.worst ? infalign::curve_of::worst : infalign::curve_of::best;
  infalign::simd on;
  if (of_win_rates)
    infalign::win_rate_curve(on, policy.groups(), reference.groups(), out, served,
                             same ? infalign::curve_base::same : infalign::curve_base::one_sample);
  else
    infalign::expected_reward_curve(on, policy.groups(), out, served);
  const bool rates = of_win_rates || std::all_of(policy.rewards.begin(), policy.rewards.end(), is_pass);
  curve_report of{policy.prompts.size(),
                  columns_of(curve, static_cast<std::size_t>(steps)),
                  strata(policy, chosen.by_stratum),
                  rates ? infalign::win_rate_range : infalign::quantity_range{},
                  {},
                  extrapolated(policy, targets),
                  without};
  for (const std::vector<double>& column : of.columns) of.steps.push_back(of.kinds.mean(column, policy.clusters, of.range));
  write_output("-", report(chosen, of));
}

constexpr const char* curve_explanation =
    "With --reference the win rate against it, otherwise the expected reward, which is pass@N for rewards of 0 and 1. Every N "
    "is\n"
    "estimated without bias from the same samples, as infalign win-rate estimates one; neighbouring N therefore err together.\n"
    "--worst serves the worst of N. The reference serves the best (or worst) of N as well, or with --reference-serves one a\n"
    "single sample.\n"
    "\n"
    "--extrapolate 1000,10000 says what passes will be at more attempts than were sampled, by two models that share no "
    "assumption:\n"
    "prompts whose success rates have a Beta distribution, and a power law for the mean. Their intervals hold the error over\n"
    "prompts; that of the power law also how much its second half disagrees with the whole. Where they differ, trust neither.\n"
    "\n";

constexpr const char* curve_examples =
    "Examples:\n"
    "  infalign curve --policy policy.jsonl --reference base.jsonl --most 16\n"
    "  infalign curve --policy attempts.jsonl --extrapolate 1000,10000 --cluster source --json\n"
    "  infalign curve --policy attempts.jsonl --stratum difficulty --stratum-weight easy=0.7 hard=0.3\n"
    "  infalign curve --policy policy.jsonl --worst --most 8";

}  // namespace

void add_curve(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "curve", "Win rate, expected reward or pass@N for every N at once, and pass@N beyond the samples.");
  const auto chosen = std::make_shared<curve_options>();
  command->add_option("--policy", chosen->policy, "Rewards of samples of the policy; - for standard input")->required();
  command->add_option("--reference", chosen->reference, "Rewards of samples of the reference policy, for win rates");
  command
      ->add_option("--reference-serves", chosen->reference_serves, "same: of N samples as well (default); one: a single sample")
      ->check(CLI::IsMember({"same", "one"}));
  command->add_flag("--worst", chosen->worst, "The worst of N is served, not the best");
  command->add_option("--most", chosen->most, "The largest N (default: the fewest samples of a prompt, at most 64)");
  command->add_option("--extrapolate", chosen->extrapolate, "Numbers of attempts beyond the samples, X,X,…");
  add_record_options(*command, chosen->records);
  add_short(*command, chosen->short_prompts);
  add_cluster(*command, chosen->records);
  add_strata(*command, chosen->records, chosen->by_stratum);
  add_report(*command, *chosen);
  command->footer(records_help() + curve_explanation + strata_help() + "\n" + curve_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
