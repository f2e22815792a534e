// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign preferences`: the win rate of a policy from judgments that compare its responses with those of another.

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/length_controlled.hpp"
#include "infalign/evaluation/preference_win_rate.hpp"
#include "left_out.hpp"
#include "output_file.hpp"
#include "paired_table.hpp"
#include "prompt_mean.hpp"
#include "record_options.hpp"
#include "reward_table.hpp"
#include "shared_options.hpp"
#include "strata.hpp"
#include "text_table.hpp"

namespace command {

namespace {

struct preference_options : report_options {
  record_options records;
  std::string file;
  std::string field;
  std::string range = "0:1";
  std::string per_prompt;
  std::string length_field;  ///< empty if lengths are not controlled for
  stratum_options by_stratum;
};

struct preference_range {
  double base;    ///< what says that the base policy wins
  double policy;  ///< what says that the policy wins
};

preference_range parse_range(const std::string& text) {
  const auto number = [&](const char* begin, const char* end, double& value) {
    const auto [stop, status] = std::from_chars(begin, end, value);
    return status == std::errc() && stop == end && std::isfinite(value);
  };
  preference_range range{};
  const char* const begin = text.data();
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || !number(begin, begin + colon, range.base) ||
      !number(begin + colon + 1, begin + text.size(), range.policy) || range.base == range.policy ||
      !std::isfinite(range.policy - range.base))
    throw usage_failure(fmt::format("--preference-range is '{}', must be BASE:POLICY, two numbers that differ", text));
  return range;
}

/// The fields of a judgment, and the words that it may be.
record_options records_of(const preference_options& chosen, const preference_range& range) {
  record_options records = chosen.records;
  records.reward_field = chosen.field.empty() ? "preference" : chosen.field;
  if (chosen.field.empty()) records.second_field = "winner";
  records.words = {{"policy", range.policy}, {"base", range.base}, {"tie", range.base + 0.5 * (range.policy - range.base)}};
  return records;
}

/// From the numbers of the file to probabilities that the policy wins.
void normalize(reward_table& judged, const preference_range& range) {
  for (std::size_t p = 0; p < judged.prompts.size(); ++p)
    for (auto i = static_cast<std::size_t>(judged.offsets[p]); i < static_cast<std::size_t>(judged.offsets[p + 1]); ++i) {
      const double given = judged.rewards[i];
      double& preference = judged.rewards[i] = (given - range.base) / (range.policy - range.base);
      if (!(preference >= 0 && preference <= 1))
        fail("{}:{}: prompt {} has a preference of {}, must be from {} (base) to {} (policy); see --preference-range",
             judged.name, judged.first_line[p], judged.prompts.json(p), given, range.base, range.policy);
    }
}

struct controlled_lengths {
  infalign::length_controlled_fit fit;
  std::size_t judgments;  ///< whose length is there too
};

/// The win rate at equal lengths. The file is read again, for the judgments and the lengths together.
controlled_lengths length_controlled(const preference_options& chosen, const record_options& records,
                                     const preference_range& range) {
  paired_table judged = read_pairs(chosen.file, records, records.reward_field, chosen.length_field);
  for (double& given : judged.first) given = (given - range.base) / (range.policy - range.base);
  return {infalign::fit_length_controlled(judged.first, judged.second, {}, judged.sample_clusters()), judged.first.size()};
}

/// How often which side is preferred.
struct verdicts {
  long long wins = 0, ties = 0, losses = 0;

  explicit verdicts(const std::vector<double>& preferences) {
    for (const double p : preferences) ++(p > 0.5 ? wins : p < 0.5 ? losses : ties);
  }
};

struct preference_report {
  const reward_table& judged;
  const std::vector<double>& wins;  ///< of the prompts
  const strata& kinds;
  infalign::estimate mean;
  std::optional<controlled_lengths> controlled;
};

std::string report(const preference_options& chosen, const preference_report& of) {
  const auto& [judged, wins, kinds, mean, controlled] = of;
  const verdicts all(judged.rewards);
  if (chosen.json) {
    json_object found;
    found.add("prompts", static_cast<long long>(judged.prompts.size()));
    if (!chosen.records.cluster_field.empty()) found.add("clusters", static_cast<long long>(mean.count));
    found.add("judgments", static_cast<long long>(judged.rewards.size()))
        .add("wins", all.wins)
        .add("ties", all.ties)
        .add("losses", all.losses)
        .add("win_rate", mean.value);
    add_error(found, mean, chosen.level);
    kinds.add(found, "win_rate", wins);
    if (controlled) {
      const infalign::length_controlled_fit& fit = controlled->fit;
      json_object equal;
      equal.add("judgments", static_cast<long long>(controlled->judgments)).add("win_rate", fit.win_rate.value);
      add_error(equal, fit.win_rate, chosen.level);
      found.add("length_controlled", equal.add("of_length", fit.of_length).add("of_policy", fit.of_policy));
    }
    return found.add("missing_judgments", static_cast<long long>(judged.missing)).add("level", chosen.level).text() + '\n';
  }
  text_table table(
      {"prompts", "wins", "ties", "losses", "win rate", "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  table.add({std::to_string(judged.prompts.size()), std::to_string(all.wins), std::to_string(all.ties),
             std::to_string(all.losses), value_text(mean), error_text(mean), interval_text(mean, chosen.level)});
  std::string at_equal_lengths;
  if (controlled) {
    const infalign::estimate& win_rate = controlled->fit.win_rate;
    at_equal_lengths =
        fmt::format("at equal lengths: {} ± {} ({}), of {} judgment{}\n", value_text(win_rate), error_text(win_rate),
                    interval_text(win_rate, chosen.level), controlled->judgments, controlled->judgments == 1 ? "" : "s");
  }
  return table.text() + kinds.text("win rate", wins, infalign::win_rate_range, chosen.level) + at_equal_lengths +
         clusters_text(chosen.records, mean) +
         (judged.missing > 0 ? fmt::format("left out: {} missing judgments\n", judged.missing) : "");
}

void run(const preference_options& chosen) {
  check_level(chosen.level);
  expect_no_standard_output("--per-prompt", chosen.per_prompt);
  const preference_range range = parse_range(chosen.range);
  const record_options records = records_of(chosen, range);
  check(records);
  check(chosen.by_stratum, records);
  if (!chosen.length_field.empty() && !records.stratum_field.empty())
    throw usage_failure("--length-field: is for prompts without strata");
  if (!chosen.length_field.empty() && chosen.file == "-")
    throw usage_failure("--length-field: the file is read twice, so it cannot be standard input");
  reward_table judged = read_rewards(chosen.file, records);
  drop_short_prompts(std::array<required, 1>{{{&judged, 1}}});  // all judgments of a prompt may be missing
  normalize(judged, range);
  std::vector<double> wins(judged.prompts.size());
  infalign::simd on;
  infalign::preference_win_rate(on, judged.groups(), wins);
  const strata kinds(judged, chosen.by_stratum);
  const infalign::estimate mean = kinds.mean(wins, judged.clusters, infalign::win_rate_range);
  std::optional<controlled_lengths> controlled;
  if (!chosen.length_field.empty()) controlled = length_controlled(chosen, records, range);
  const std::string text = report(chosen, {judged, wins, kinds, mean, controlled});
  if (!chosen.per_prompt.empty()) write_per_prompt(chosen.per_prompt, judged, "win_rate", wins);
  write_output("-", text);
}

constexpr const char* preferences_explanation =
    "Records: {\"prompt_id\": string or integer, \"winner\": \"policy\"}, \"base\" or \"tie\", or {\"prompt_id\": …, "
    "\"preference\": p}\n"
    "with the probability p that the response of the policy is preferred; a list of either for several judgments. JSON lines, "
    "a\n"
    "JSON array or CSV, as for infalign win-rate. A tie counts one half. --preference-range 1:2 reads numbers from 1 (base) "
    "to\n"
    "2 (policy). --length-field FIELD, a number that says how much longer the base's response is than the policy's, adds the "
    "win\n"
    "rate at equal lengths, by AlpacaEval 2's logistic regression without its difficulties of instructions. A prompt's win "
    "rate is the mean of its judgments, and the prompt is the unit of sampling: the standard error "
    "is\n"
    "that of a mean over prompts, in win rate (0 to 1, not per cent).\n";

constexpr const char* preferences_examples =
    "Examples:\n"
    "  infalign preferences judgments.jsonl\n"
    "  infalign preferences judgments.csv --preference-field verdict --json\n"
    "  infalign preferences judgments.jsonl --stratum language --stratum-weight en=0.8 de=0.2\n"
    "AlpacaEval's leaderboard figure (times 100), from a file of annotations as it is published:\n"
    "  infalign preferences annotations.json --prompt-field instruction --preference-range 1:2";

}  // namespace

void add_preferences(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "preferences", "Win rate of a policy from pairwise judgments: who wins, or with what probability.");
  const auto chosen = std::make_shared<preference_options>();
  command->add_option("file,--preferences", chosen->file, "The judgments; - for standard input")->required();
  command->add_option("--prompt-field", chosen->records.prompt_field, "Field with the prompt's id; a.b is b within a")
      ->capture_default_str();
  command->add_option("--preference-field", chosen->field, "Field with the judgment (default: preference or winner)");
  command->add_option("--preference-range", chosen->range, "BASE:POLICY, the numbers that say that one side wins")
      ->capture_default_str();
  command->add_option("--length-field", chosen->length_field,
                      "Field with the length of the base's response less that of the policy's");
  add_missing(*command, chosen->records, "judgment");
  add_cluster(*command, chosen->records);
  add_strata(*command, chosen->records, chosen->by_stratum);
  command->add_option("--per-prompt", chosen->per_prompt, "Write the win rate of every prompt here, one record a line");
  add_report(*command, *chosen);
  command->footer(preferences_explanation + strata_help() + "\n" + preferences_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
