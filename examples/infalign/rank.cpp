// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign rank`: Bradley–Terry and Elo scores of many policies from judgments of pairs.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "commands.hpp"
#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/evaluation/bradley_terry.hpp"
#include "output_file.hpp"
#include "prompt_index.hpp"
#include "record_options.hpp"
#include "record_reader.hpp"
#include "shared_options.hpp"
#include "text_table.hpp"

namespace command {

namespace {

using infalign::index_t;

struct rank_options : report_options {
  record_options records;
  std::string file;
  std::string first_field = "first", second_field = "second";
  std::string field = "winner";
  double prior = 0;
};

struct pair_judgments {
  std::string name;  ///< of the file
  prompt_index policies;
  std::vector<index_t> first, second, prompts;
  std::vector<double> outcomes;
  std::uint64_t missing = 0;
};

/// The file is read twice: once with the name of the first policy, once with that of the second.
pair_judgments read_judgments(const rank_options& chosen) {
  record_options records = chosen.records;
  records.reward_field = chosen.field;
  records.words = {{"first", 1}, {"second", 0}, {"tie", 0.5}};
  records.cluster_field = chosen.first_field;
  check(records);
  record_options others = records;
  others.cluster_field = chosen.second_field;
  check(others);
  if (chosen.first_field == chosen.second_field)
    throw usage_failure(fmt::format("--first-field and --second-field are both {}", chosen.first_field));
  record_reader in(chosen.file, records), other(chosen.file, others);
  pair_judgments found;
  found.name = in.file().name();
  prompt_index prompts;
  while (in.next()) {
    if (!other.next()) in.fail_here("the file has changed while it was read");
    const index_t i = found.policies.find_or_add(in.cluster()), j = found.policies.find_or_add(other.cluster());
    if (i == j) in.fail_here("{} is compared with itself", shown(in.cluster()));
    const index_t prompt = prompts.find_or_add(in.prompt());
    for (const double outcome : in.rewards()) {
      if (std::isnan(outcome)) {
        ++found.missing;
        continue;
      }
      if (!(outcome >= 0 && outcome <= 1))
        in.fail_here("{} is {}, must be from 0 (second) to 1 (first)", chosen.field, outcome);
      found.first.push_back(i);
      found.second.push_back(j);
      found.outcomes.push_back(outcome);
      found.prompts.push_back(prompt);
    }
  }
  if (found.outcomes.empty()) fail("{}: there is no judgment in it", found.name);
  return found;
}

/// The library knows policies by number, people by name.
void expect_one_scale(const pair_judgments& judged) {
  const auto apart =
      infalign::separated_policies(static_cast<index_t>(judged.policies.size()), judged.first, judged.second, judged.outcomes);
  if (!apart) return;
  const std::string one = judged.policies.shown(static_cast<std::size_t>(apart->first)),
                    other = judged.policies.shown(static_cast<std::size_t>(apart->second));
  if (!apart->compared)
    fail("{}: {} and {} are not compared, not even by way of others; --prior 1 ties each to an average policy", judged.name,
         one, other);
  fail(
      "{}: no finite scores fit: {} and {} are in two parts of the policies, of which one never beats the other; --prior 1 "
      "makes "
      "them finite",
      judged.name, one, other);
}

std::string report(const rank_options& chosen, const pair_judgments& judged, const infalign::bradley_terry_fit& fit) {
  std::vector<std::size_t> order(judged.policies.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto score = [&](std::size_t i) { return fit.score(static_cast<index_t>(i)); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score(a).value > score(b).value; });
  std::vector<long long> count(judged.policies.size());
  for (std::size_t c = 0; c < judged.first.size(); ++c)
    ++count[static_cast<std::size_t>(judged.first[c])], ++count[static_cast<std::size_t>(judged.second[c])];
  if (chosen.json) {
    std::string list;
    for (const std::size_t i : order) {
      const infalign::estimate elo = fit.elo(static_cast<index_t>(i));
      json_object row;
      row.add_raw("policy", judged.policies.json(i)).add("judgments", count[i]).add("score", score(i).value);
      row.add("elo", elo.value);
      add_error(row, elo, chosen.level);
      list += (list.empty() ? "" : ", ") + row.text();
    }
    return json_object()
               .add("judgments", static_cast<long long>(judged.outcomes.size()))
               .add("prompts", static_cast<long long>(score(0).count))
               .add_raw("policies", "[" + list + "]")
               .add("missing_judgments", static_cast<long long>(judged.missing))
               .add("level", chosen.level)
               .text() +
           '\n';
  }
  text_table table({"policy", "judgments", "Elo", "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  for (const std::size_t i : order) {
    const infalign::estimate elo = fit.elo(static_cast<index_t>(i));
    const auto interval = elo.interval(chosen.level);
    const bool known = elo.count > 1;
    const prompt_id id = judged.policies.id(i);
    table.add({std::string(id.bytes), std::to_string(count[i]), fmt::format("{:.1f}", elo.value),
               known ? fmt::format("{:.1f}", elo.standard_error) : "–",
               known ? fmt::format("{:.1f} … {:.1f}", interval.low, interval.high) : "–"});
  }
  return table.text() +
         fmt::format("{} judgments of {} prompts; 1000 is an average policy\n", judged.outcomes.size(), score(0).count) +
         (judged.missing > 0 ? fmt::format("left out: {} missing judgments\n", judged.missing) : "");
}

void run(const rank_options& chosen) {
  check_level(chosen.level);
  if (chosen.file == "-") throw usage_failure("the file is read twice, so it cannot be standard input");
  if (!(chosen.prior >= 0 && std::isfinite(chosen.prior)))
    throw usage_failure(fmt::format("--prior is {}, must be finite and not negative", chosen.prior));
  const pair_judgments judged = read_judgments(chosen);
  if (chosen.prior == 0) expect_one_scale(judged);
  const auto policies = static_cast<index_t>(judged.policies.size());
  write_output("-", report(chosen, judged,
                           infalign::fit_bradley_terry(policies, judged.first, judged.second, judged.outcomes, judged.prompts,
                                                       chosen.prior)));
}

constexpr const char* rank_explanation =
    "Records: {\"prompt_id\": string or integer, \"first\": policy, \"second\": policy, \"winner\": \"first\"}, \"second\" or "
    "\"tie\", or\n"
    "a number from 0 (second) to 1 (first). JSON lines, a JSON array or CSV. A tie counts as half a win of either. Scores are "
    "those\n"
    "of Bradley and Terry, on Elo's scale: 400 more mean odds of ten to one. The prompt is the unit of sampling, however many\n"
    "judgments it has: intervals are sandwich intervals by prompts. Policies that won or lost everything have no finite "
    "score;\n"
    "--prior 1 adds a tie against the mean score to each.\n"
    "\n";

constexpr const char* rank_examples =
    "Examples:\n"
    "  infalign rank judgments.jsonl\n"
    "  infalign rank arena.csv --first-field model_a --second-field model_b --preference-field score --prior 1 --json";

}  // namespace

void add_rank(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("rank", "Bradley–Terry and Elo scores of many policies from judgments of pairs, with intervals.");
  const auto chosen = std::make_shared<rank_options>();
  command->add_option("file,--preferences", chosen->file, "The judgments")->required();
  command->add_option("--prompt-field", chosen->records.prompt_field, "Field with the prompt's id")->capture_default_str();
  command->add_option("--first-field", chosen->first_field, "Field with the name of the first policy")->capture_default_str();
  command->add_option("--second-field", chosen->second_field, "Field with the name of the second policy")
      ->capture_default_str();
  command->add_option("--preference-field", chosen->field, "Field with the judgment")->capture_default_str();
  command->add_option("--prior", chosen->prior, "Ties against the mean score that are added to each policy")
      ->capture_default_str();
  add_missing(*command, chosen->records, "judgment");
  add_report(*command, *chosen);
  command->footer(std::string(rank_explanation) + rank_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
