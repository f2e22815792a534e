// SPDX-License-Identifier: Apache-2.0
#include "procedures.hpp"

#include <string>

#include "failure.hpp"

namespace command {

namespace {

infalign::any_procedure procedure_option(const char* option, const std::string& text) {
  return option_value(option, text, [](const std::string& name) { return infalign::parse_procedure(name); });
}

}  // namespace

procedures procedures::parse(const procedure_options& chosen) {
  const infalign::any_procedure own = procedure_option("--procedure", chosen.procedure);
  const std::string& reference = chosen.reference_procedure;
  return {own, reference.empty() ? own : procedure_option("--reference-procedure", reference)};
}

}  // namespace command
