// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rates from two files of rewards, prompt by prompt: what `win-rate` and `compare` share.
#pragma once

#include <string>
#include <vector>

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/statistics/estimate.hpp"
#include "json_text.hpp"
#include "reward_table.hpp"
#include "shared_options.hpp"

namespace command {

/// What is run at inference on either side.
struct procedures {
  infalign::any_procedure policy;
  infalign::any_procedure reference;

  /// From the options `--procedure` and `--reference-procedure`; the latter is that of the policy if it is empty.
  static procedures parse(const procedure_options& chosen);
};

/// The unbiased win rate of every prompt of `policy`, in its order, against the same prompt of `reference`. Prompts that only
/// the reference has are left out. Throws `failure` for a prompt without reference or with fewer samples than are drawn.
std::vector<double> win_rates(const reward_table& policy, const reward_table& reference, const procedures& chosen);

/// `--level`: throws `usage_failure` unless it is in (0, 1).
void check_level(double level);

/// "standard_error" and "confidence_interval"; null where there is one prompt only.
void add_error(json_object& to, const infalign::estimate& of, double level);

/// "confidence_interval" alone, for an interval that holds more than the standard error.
void add_interval(json_object& to, const infalign::estimate& of, const infalign::confidence_interval& interval);

/// Cells of a table: a standard error, "0.0123", and an interval, "0.8400 … 0.8600". A dash where there is one prompt only.
std::string error_text(const infalign::estimate& of);
std::string interval_text(const infalign::estimate& of, const infalign::confidence_interval& interval);
std::string interval_text(const infalign::estimate& of, double level);

}  // namespace command
