// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is estimated of every prompt of a policy: a win rate, an expected reward or transform, pass@k, cons@k or maj@k. `win-rate` and
/// `compare` share it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infalign/statistics/estimate.hpp"
#include "infalign/transform/any_transform.hpp"
#include "json_text.hpp"
#include "procedures.hpp"
#include "reward_table.hpp"
#include "shared_options.hpp"

namespace command {

struct estimand_options : procedure_options {
  std::string estimand = "win-rate";
  std::string reference;     ///< a file, for win rates and expected transforms alone
  std::string transform;     ///< for the latter
  std::string answer_field;  ///< for votes alone; empty for `answer`
};

class estimand {
 public:
  /// Throws `usage_failure` for options that make no sense together.
  static estimand parse(const estimand_options& chosen);

  [[nodiscard]] bool is_win_rate() const { return kind_ == kind::win_rate; }
  [[nodiscard]] bool has_reference() const { return is_win_rate() || kind_ == kind::expected_transform; }
  /// Whether the estimate of a prompt is the mean of its rewards.
  [[nodiscard]] bool is_mean_of_samples() const;
  /// The options of `records` with the field of answers where they are voted on.
  [[nodiscard]] record_options with_answers(record_options records, const estimand_options& chosen) const;
  /// As the option names it: `pass@5`.
  [[nodiscard]] const std::string& name() const { return name_; }
  /// As a table heads it: `win rate`.
  [[nodiscard]] std::string title() const;
  /// "estimand" and what belongs to it; nothing for win rates.
  void add_name(json_object& to) const;
  [[nodiscard]] const procedures& served() const { return served_; }
  /// What a table calls that which is run on the policy: `best_of:4`, or `5 samples` where these vote.
  [[nodiscard]] std::string procedure_name() const;
  /// Whether it lies in 0 … 1.
  [[nodiscard]] bool is_rate() const;
  [[nodiscard]] infalign::quantity_range range() const;
  [[nodiscard]] infalign::quantity_range difference_range() const;

  /// The estimate of every prompt of `policy`, in its order; it is unbiased but for what `expected_transforms` says. `reference` is read
  /// if `has_reference()`: prompts that only the reference has are left out. Throws `failure` for a prompt without reference or with fewer samples than are drawn, and for
  /// rewards other than 0 and 1 where passes are counted, and for answers of which the rewards do not say which one is right.
  [[nodiscard]] std::vector<double> of(const reward_table& policy, const reward_table& reference) const;

 private:
  enum class kind { win_rate, expected_reward, expected_transform, pass_at_k, consensus_at_k, majority_at_k };
  estimand(kind what, std::string name, procedures served) : kind_(what), name_(std::move(name)), served_(std::move(served)) {}
  static estimand of_transform(const estimand_options& chosen);

  kind kind_;
  std::string name_;
  procedures served_;
  std::optional<infalign::any_transform> transform_;
};

/// `--estimand`, `--transform`, `--answer-field`, `--procedure`, `--reference` and `--reference-procedure`.
void add_estimand(CLI::App& to, estimand_options& chosen);

/// What the option means, for the end of a help text.
std::string estimand_help();

}  // namespace command
