// SPDX-License-Identifier: Apache-2.0
#include "estimate_text.hpp"

#include <algorithm>
#include <cmath>

#include "failure.hpp"

namespace command {

namespace {

/// Four decimals where the quantity is a rate; otherwise as many as show three digits of the standard error.
int decimals(const infalign::estimate& of) {
  const bool rate = of.highest < infalign::infinity<double> || of.lowest > -infalign::infinity<double>;
  if (rate || of.count < 2 || !(of.standard_error > 0)) return 4;
  return std::clamp(2 - static_cast<int>(std::floor(std::log10(of.standard_error))), 0, 12);
}

}  // namespace

void check_level(double level) {
  if (!(level > 0 && level < 1)) throw usage_failure(fmt::format("--level is {}, must be between 0 and 1", level));
}

void add_error(json_object& to, const infalign::estimate& of, double level) {
  to.add("standard_error", of.standard_error);
  add_interval(to, of, of.interval(level));
}

void add_interval(json_object& to, const infalign::estimate& of, const infalign::confidence_interval& interval) {
  to.add_raw("confidence_interval",
             of.count < 2 ? "null" : fmt::format("[{}, {}]", number(interval.low), number(interval.high)));
}

std::string value_text(const infalign::estimate& of) {
  return fmt::format("{:.{}f}", of.value, decimals(of));
}

std::string error_text(const infalign::estimate& of) {
  return of.count < 2 ? "–" : fmt::format("{:.{}f}", of.standard_error, decimals(of));
}

std::string interval_text(const infalign::estimate& of, const infalign::confidence_interval& interval) {
  return of.count < 2 ? "–" : fmt::format("{0:.{2}f} … {1:.{2}f}", interval.low, interval.high, decimals(of));
}
std::string interval_text(const infalign::estimate& of, double level) {
  return interval_text(of, of.interval(level));
}

}  // namespace command
