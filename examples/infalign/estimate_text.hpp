// SPDX-License-Identifier: Apache-2.0
/// \file
/// How an estimate is printed, as JSON and in the cells of a table.
#pragma once

#include <string>

#include "infalign/statistics/estimate.hpp"
#include "json_text.hpp"

namespace command {

/// `--level`: throws `usage_failure` unless it is in (0, 1).
void check_level(double level);

/// "standard_error" and "confidence_interval"; null where there is one prompt only.
void add_error(json_object& to, const infalign::estimate& of, double level);

/// "confidence_interval" alone, for an interval that holds more than the standard error.
void add_interval(json_object& to, const infalign::estimate& of, const infalign::confidence_interval& interval);

/// Cells of a table: a value, "0.8500"; a standard error, "0.0123", and an interval, "0.8400 … 0.8600". A dash where there is one
/// prompt only. Quantities that are no rates have as many decimals as their standard error asks for.
std::string value_text(const infalign::estimate& of);
std::string error_text(const infalign::estimate& of);
std::string interval_text(const infalign::estimate& of, const infalign::confidence_interval& interval);
std::string interval_text(const infalign::estimate& of, double level);

}  // namespace command
