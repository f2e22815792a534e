// SPDX-License-Identifier: Apache-2.0
#include "shared_options.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstddef>
#include <cstdlib>

#include "failure.hpp"
#include "infalign/procedure/any_procedure.hpp"
#include "infalign/serving/any_served_procedure.hpp"
#include "infalign/transform/any_transform.hpp"

namespace command {

namespace {

template <class Entries>
std::string name_list(const std::string& heading, const Entries& entries) {
  std::string text = heading + ":\n";
  for (const infalign::name_entry& entry : entries) {
    text += fmt::format("  {:<26} {}", entry.syntax, entry.summary);
    text += entry.example == entry.syntax ? "\n" : fmt::format(" (example: {})\n", entry.example);
  }
  return text + '\n';
}

}  // namespace

std::string procedure_list() {
  return name_list("Procedures", infalign::procedure_names());
}

std::string served_procedure_list() {
  return name_list("Procedures, which select by the calibrated reward u", infalign::served_procedure_names());
}

std::string transform_list() {
  return name_list("Transforms, of the calibrated reward u", infalign::transform_names());
}

void add_procedures(CLI::App& to, procedure_options& chosen, const std::string& reference) {
  to.add_option("--procedure", chosen.procedure, "What is run at inference")->required();
  to.add_option("--reference-procedure", chosen.reference_procedure, "What is run on " + reference + " (default: the same)");
}

void add_report(CLI::App& to, report_options& chosen) {
  to.add_option("--level", chosen.level, "Confidence of intervals")->capture_default_str();
  add_json(to, chosen.json);
}

void add_json(CLI::App& to, bool& chosen) {
  to.add_flag("--json", chosen, "JSON instead of a table");
}

void expect_positive(std::string_view option, double value) {
  if (!(value > 0 && std::isfinite(value)))
    throw usage_failure(fmt::format("{} is {}, must be positive and finite", option, value));
}

std::vector<double> positive_numbers(std::string_view option, const std::vector<std::string>& lists) {
  std::vector<double> numbers;
  for (const std::string& list : lists)
    for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
      end = list.find(',', begin);
      const std::string part = list.substr(begin, end == std::string::npos ? end : end - begin);
      char* stop = nullptr;
      const double value = std::strtod(part.c_str(), &stop);
      if (part.empty() || *stop != '\0')
        throw usage_failure(
            fmt::format("{}: '{}': '{}' is no number; the syntax is X,X,…", option, excerpt(list), excerpt(part)));
      expect_positive(option, value);
      numbers.push_back(value);
    }
  return numbers;
}

void expect_at_least_one(std::string_view option, const std::optional<infalign::index_t>& value) {
  if (value && *value < 1) throw usage_failure(fmt::format("{} is {}, must be at least 1", option, *value));
}

void expect_no_standard_output(std::string_view option, const std::string& path) {
  if (path == "-") throw usage_failure(fmt::format("{} is -, but the report goes to standard output: name a file", option));
}

}  // namespace command
