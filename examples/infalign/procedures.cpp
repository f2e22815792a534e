// SPDX-License-Identifier: Apache-2.0
#include "procedures.hpp"

#include <string>

#include "failure.hpp"

namespace command {

namespace {

/// Both sides by the function that reads a name.
template <class Procedures, class Parse>
Procedures parsed(const procedure_options& chosen, const Parse& parse) {
  const auto own = option_value("--procedure", chosen.procedure, parse);
  const std::string& reference = chosen.reference_procedure;
  return {own, reference.empty() ? own : option_value("--reference-procedure", reference, parse)};
}

}  // namespace

procedures procedures::parse(const procedure_options& chosen) {
  return parsed<procedures>(chosen, [](const std::string& name) { return infalign::parse_procedure(name); });
}

served_procedures served_procedures::parse(const procedure_options& chosen) {
  return parsed<served_procedures>(chosen, [](const std::string& name) { return infalign::parse_served_procedure(name); });
}

}  // namespace command
