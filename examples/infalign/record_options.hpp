// SPDX-License-Identifier: Apache-2.0
/// \file
/// How files of rewards are read: the options that every subcommand with such files has.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace command {

/// Where a record holds what, and what is made of rewards that are not there.
///
/// A field is named by its key. `a.b` is the key `b` of the object `a`, or a key that is written `a.b`.
struct record_options {
  std::string prompt_field = "prompt_id";
  std::string reward_field;       ///< empty for `reward`, `rewards`, or the counts `n` and `successes`
  std::string cluster_field;      ///< empty if clusters are not read
  std::string missing = "error";  ///< or "skip"
  std::string format = "auto";    ///< or "jsonl", "json", "csv"

  /// For files in which clusters are not looked up.
  [[nodiscard]] record_options without_cluster() const {
    record_options same = *this;
    same.cluster_field.clear();
    return same;
  }
  [[nodiscard]] bool skips_missing() const { return missing == "skip"; }
};

/// `--prompt-field`, `--reward-field`, `--missing` and `--format`.
void add_record_options(CLI::App& to, record_options& chosen);
/// `--cluster`.
void add_cluster(CLI::App& to, record_options& chosen);
/// Throws `usage_failure` for options that make no sense together.
void check(const record_options& chosen);

/// `--short`: whether prompts with fewer rewards than are needed are left out ("skip") or an error.
void add_short(CLI::App& to, std::string& chosen);

/// What the options mean, for the end of a help text.
std::string records_help();

}  // namespace command
