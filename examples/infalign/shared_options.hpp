// SPDX-License-Identifier: Apache-2.0
/// \file
/// Options that several subcommands have.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infalign/core/config.hpp"

namespace CLI {
class App;
}

namespace command {

/// What is run at inference on either side.
struct procedure_options {
  std::string procedure;
  std::string reference_procedure;  ///< empty for the same
};

struct report_options {
  double level = 0.95;
  bool json = false;
};

/// `--procedure` and `--reference-procedure`; `reference` is who the latter is run on.
void add_procedures(CLI::App& to, procedure_options& chosen, const std::string& reference);

/// What can be given as a procedure or as a transform: every name that the library reads, one a line, under a heading.
std::string procedure_list();
std::string served_procedure_list();
std::string transform_list();

/// `--level` and `--json`.
void add_report(CLI::App& to, report_options& chosen);
void add_json(CLI::App& to, bool& chosen);

/// The numbers of an option with lists such as `1,2`, each positive and finite; throws `usage_failure` for what is not.
std::vector<double> positive_numbers(std::string_view option, const std::vector<std::string>& lists);
/// Throws `usage_failure` unless the number is positive and finite.
void expect_positive(std::string_view option, double value);

/// Throws `usage_failure` for a number that is given and below 1.
void expect_at_least_one(std::string_view option, const std::optional<infalign::index_t>& value);

/// Throws `usage_failure` if the option's file is standard output, where the report goes.
void expect_no_standard_output(std::string_view option, const std::string& path);

}  // namespace command
