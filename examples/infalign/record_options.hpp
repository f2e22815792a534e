// SPDX-License-Identifier: Apache-2.0
/// \file
/// How files of rewards are read: the options that every subcommand with such files has.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace command {

/// Where a record holds what, and what is made of rewards that are not there.
///
/// A field is named by its key. `a.b` is the key `b` of the object `a`, or a key that is written `a.b`.
struct record_options {
  std::string prompt_field = "prompt_id";
  std::string reward_field;  ///< empty for `reward`, `rewards`, or the counts `n` and `successes`
  std::string second_field;  ///< another name of the rewards, where `reward_field` is given; may be empty
  /// Texts that stand for rewards.
  std::vector<std::pair<std::string, double>> words;
  std::string cluster_field;      ///< empty if clusters are not read
  std::string stratum_field;      ///< empty if strata are not read
  std::string answer_field;       ///< empty if answers are not read
  std::string missing = "error";  ///< or "skip"
  std::string format = "auto";    ///< or "jsonl", "json", "csv"

  /// For files in which neither clusters nor strata are looked up.
  [[nodiscard]] record_options without_cluster() const {
    record_options same = *this;
    same.cluster_field.clear();
    same.stratum_field.clear();
    return same;
  }

  /// As a message names the rewards.
  [[nodiscard]] std::string reward_name() const {
    if (reward_field.empty()) return "reward (or rewards)";
    return second_field.empty() ? reward_field : reward_field + " (or " + second_field + ")";
  }
  /// As a message says what they may be: `a number, policy, base or tie`.
  [[nodiscard]] std::string reward_kind(const char* number) const {
    std::string kind = number;
    for (const auto& word : words) kind += (&word == &words.back() ? " or " : ", ") + word.first;
    return kind;
  }
  /// The reward that a text stands for.
  [[nodiscard]] std::optional<double> of_word(std::string_view text) const {
    for (const auto& [word, value] : words)
      if (word == text) return value;
    return std::nullopt;
  }

  [[nodiscard]] bool skips_missing() const { return missing == "skip"; }
};

/// `--prompt-field`, `--reward-field`, `--missing` and `--format`.
void add_record_options(CLI::App& to, record_options& chosen);
/// The last two alone; `what` is what may be missing.
void add_missing(CLI::App& to, record_options& chosen, const std::string& what);
/// `--cluster`.
void add_cluster(CLI::App& to, record_options& chosen);
/// Throws `usage_failure` for options that make no sense together.
void check(const record_options& chosen);

/// `--short`: whether prompts with fewer rewards than are needed are left out ("skip") or an error.
void add_short(CLI::App& to, std::string& chosen);

/// What the options mean, for the end of a help text.
std::string records_help();

}  // namespace command
