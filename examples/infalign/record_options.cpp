// SPDX-License-Identifier: Apache-2.0
#include "record_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "failure.hpp"

namespace command {

void add_record_options(CLI::App& to, record_options& chosen) {
  to.add_option("--prompt-field", chosen.prompt_field, "Field with the prompt's id; a.b is b within a")->capture_default_str();
  to.add_option("--reward-field", chosen.reward_field,
                "Field with the reward, or the list of rewards (default: reward or rewards)");
  add_missing(to, chosen, "reward");
}

void add_missing(CLI::App& to, record_options& chosen, const std::string& what) {
  to.add_option("--missing", chosen.missing, "A " + what + " that is null, NaN or not there: error, or skip to leave it out")
      ->check(CLI::IsMember({"error", "skip"}))
      ->capture_default_str();
  to.add_option("--format", chosen.format,
                "Format of the files: auto (by their first byte), jsonl, json (an array), csv (with a header)")
      ->check(CLI::IsMember({"auto", "jsonl", "json", "csv"}))
      ->capture_default_str();
}

void add_cluster(CLI::App& to, record_options& chosen) {
  to.add_option("--cluster", chosen.cluster_field,
                "Field of the policy's records with the cluster of the prompt, which standard errors are then taken by");
}

void check(const record_options& chosen) {
  std::vector<std::string> read{chosen.prompt_field, chosen.reward_field};
  for (const auto& [option, field] : {std::pair{"--cluster", chosen.cluster_field},
                                      {"--stratum", chosen.stratum_field},
                                      {"--answer-field", chosen.answer_field}}) {
    if (!field.empty() && std::find(read.begin(), read.end(), field) != read.end())
      throw usage_failure(fmt::format("{}: {} is read as something else already", option, field));
    read.push_back(field);
  }
  if (chosen.prompt_field == chosen.reward_field)
    throw usage_failure(fmt::format("--prompt-field and --reward-field are both {}", chosen.prompt_field));
}

void add_short(CLI::App& to, std::string& chosen) {
  to.add_option("--short", chosen, "A prompt with fewer rewards than are needed: error, or skip to leave it out")
      ->check(CLI::IsMember({"error", "skip"}))
      ->capture_default_str();
}

std::string records_help() {
  return "Records, one JSON object a line: {\"prompt_id\": string or integer, \"reward\": x}, {\"prompt_id\": …, \"rewards\": "
         "[x, …]},\n"
         "or counts of passes, {\"prompt_id\": …, \"n\": 10, \"successes\": 3}, which are 3 rewards of 1 and 7 of 0. true is "
         "1, false\n"
         "is 0. Other names are given by --prompt-field task_id --reward-field scores.total, where a dot leads into an "
         "object.\n"
         "The rewards of a prompt may be spread over any number of records. The integer 7 and the string \"7\" are different\n"
         "prompts. Blank lines are left out. Missing rewards (null, NaN, [] or no such field) are an error; --missing skip "
         "leaves\n"
         "them out and reports how many.\n"
         "\n"
         "Formats: JSON lines; a JSON array of such objects, begun by [; CSV with a header whose columns are named like the "
         "fields,\n"
         "begun by anything but { or [. Each may be compressed by gzip or zstd. Parquet is converted first, by\n"
         "  python3 -c \"import polars; polars.read_parquet('IN.parquet').write_ndjson('OUT.jsonl')\"\n";
}

}  // namespace command
