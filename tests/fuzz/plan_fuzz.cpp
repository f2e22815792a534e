// SPDX-License-Identifier: Apache-2.0
/// \file
/// Names of procedures and transforms with any numbers in them, and any β or KL: plans, frontiers and off-policy predictions.
/// Either an infalign error, or numbers in their range, none of them NaN.
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/input.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/core/names.hpp"
#include "infalign/evaluation/off_policy.hpp"
#include "infalign/procedure/any_procedure.hpp"
#include "infalign/serving/any_served_procedure.hpp"
#include "infalign/theory/plan.hpp"
#include "infalign/theory/tilted_density.hpp"
#include "infalign/transform/any_transform.hpp"

namespace infalign::fuzz {
namespace {

double number(input& in) {
  const double magnitude = in.byte() / 255.0;
  switch (in.below(8)) {
    case 0: return in.one_of({0.0, -1.0, 1.0, 0.5, 5e-324, 1e-309, 1.7976931348623157e308, -0.0});
    case 1: return std::pow(10, -320 + 628 * magnitude);
    case 2: return -std::pow(10, -8 + 12 * magnitude);
    case 3: return -50 + 100 * magnitude;
    default: return std::pow(10, -6 + 8 * magnitude);
  }
}

std::string text(double value) {
  return detail::format_parameter(value);
}

/// Mostly small, as large ones take longer.
index_t whole(input& in) {
  switch (in.below(8)) {
    case 0: return in.one_of({index_t{0}, index_t{-1}, index_t{1} << 30, index_t{1} << 31, index_t{1} << 40, index_t{1} << 62});
    case 1: return static_cast<index_t>(std::pow(10, 15 * in.byte() / 255.0));
    case 2: return 1 + in.byte() * 4;
    default: return 1 + in.below(64);
  }
}

std::string procedure_name(input& in) {
  const auto ranks = [&](const std::string& name) {
    const index_t n = whole(in);
    const index_t m = in.below(8) == 0 ? whole(in) : 1 + static_cast<index_t>(in.byte() / 256.0 * static_cast<double>(n));
    return name + ":" + std::to_string(m) + ":" + std::to_string(n);
  };
  switch (in.below(7)) {
    case 0: return "standard";
    case 1: return "best_of:" + std::to_string(whole(in));
    case 2: return "worst_of:" + std::to_string(whole(in));
    case 3: return "best_of_poisson:" + text(number(in));
    case 4: return ranks("order_statistic");
    case 5: return ranks("top_of");
    default: {
      const double share = (1 + in.byte()) / 257.0;
      return "best_of_random:" + std::to_string(whole(in)) + "=" + text(share) + "," + std::to_string(whole(in)) + "=" +
             text(1 - share);
    }
  }
}

std::string reward_procedure_name(input& in) {
  if (in.flag()) return "soft_best_of:" + std::to_string(whole(in)) + ":" + text(number(in));
  const std::string threshold = text(in.flag() ? in.byte() / 255.0 : number(in));
  return "rewind_and_repeat:" + threshold + ":" + std::to_string(whole(in)) + (in.flag() ? ":best" : "");
}

std::string transform_name(input& in) {
  const std::string names[] = {"identity", "logarithm", "normal_quantile", "exponential:" + text(number(in)),
                               "power:" + text(number(in))};
  const std::string name = in.one_of(names);
  if (in.below(4) > 0) return name;
  return "clamped:" + text(in.flag() ? in.byte() / 512.0 : number(in)) + ":" +
         text(in.flag() ? 1 - in.byte() / 512.0 : number(in)) + ":" + name;
}

/// The procedures of both sides, as text and as a matchup.
struct game {
  std::string name;
  any_procedure procedure;
  any_procedure base_procedure;
};
game read_game(input& in) {
  const std::string name = procedure_name(in), base = in.flag() ? name : procedure_name(in);
  return {name + " vs " + base, parse_procedure(name), parse_procedure(base)};
}

constexpr double rounding = 1e-6;  // of a win rate at the largest N

void check_win_rate(const std::string& what, double w) {
  if (!(w >= -rounding && w <= 1 + rounding)) disagree(what, ": a win rate of ", w);
}
void check_point(const std::string& what, const tradeoff_point& point) {
  if (!(point.beta > 0 && point.beta < infinity<double>)) disagree(what, ": beta is ", point.beta);
  if (!(point.kl >= -1e-12 && point.kl < infinity<double>)) disagree(what, ": KL is ", point.kl);
  check_win_rate(what, point.inference_win_rate);
  check_win_rate(what, point.standard_win_rate);
}
void check_plan(const std::string& what, const plan_table& table, std::optional<double> wanted_kl) {
  for (const plan_section& section : table.sections)
    for (const plan_row& row : section.rows) {
      const std::string where = what + ", " + row.transform;
      if (row.reached) check_point(where, *row.reached);
      if (row.reached && !(row.price >= 0 && row.price < infinity<double>)) disagree(where, ": price is ", row.price);
      if (row.reached && wanted_kl && row.transform != "optimal" &&
          !(std::abs(row.reached->kl - *wanted_kl) <= 1e-8 * *wanted_kl + 1e-300))
        disagree(where, ": KL is ", row.reached->kl, ", wanted is ", *wanted_kl);
      if (!(row.largest_kl >= 0)) disagree(where, ": largest KL is ", row.largest_kl);
    }
}

void check_tilted(const std::string& what, const tilted_density<any_transform>& policy) {
  if (!(policy.kl() >= -1e-12 && policy.kl() < infinity<double>)) disagree(what, ": KL is ", policy.kl());
  check_win_rate(what, policy.standard_win_rate());
  double last = 0;
  for (const double u : {0.0, 1e-9, 0.1, 0.5, 0.9, 1 - 1e-9, 1.0}) {
    const double share = policy.cdf(u), quantile = policy.quantile(u);
    if (!(share >= last - 1e-12 && share <= 1)) disagree(what, ": F(", u, ") is ", share, " after ", last);
    if (!(quantile >= 0 && quantile <= 1)) disagree(what, ": the quantile of ", u, " is ", quantile);
    last = share;
  }
}

void check_prediction(const std::string& what, const off_policy_evaluation& predicted) {
  for (const off_policy_value& v : {predicted.standard_win_rate, predicted.inference_win_rate}) {
    check_win_rate(what + ", plug-in", v.plug_in.value);
    if (!(std::abs(v.corrected.value) < 1e3)) disagree(what, ": predicts a win rate of ", v.corrected.value);
  }
  if (!(predicted.kl.plug_in.value >= -1e-12 && predicted.kl.plug_in.value < infinity<double>))
    disagree(what, ": predicts a KL of ", predicted.kl.plug_in.value);
}

void run(input& in) {
  const int kind = in.below(4);
  const game both = read_game(in);
  const std::string named = transform_name(in);
  const any_transform transform = parse_transform(named);
  const double value = number(in);
  // Last, so that what is read before stays what it was.
  const std::string other = kind < 2 && in.below(4) == 1 ? reward_procedure_name(in) : "";
  const any_served_procedure procedure = other.empty() ? any_served_procedure(both.procedure) : parse_served_procedure(other);
  const std::string what = other + " " + both.name + ", " + named + " at " + text(value);
  if (kind == 0) {
    check_plan(what, plan(matchup(procedure, both.base_procedure), {kl_budget(value)}, {transform}), value);
  } else if (kind == 1) {
    check_plan(what, plan(matchup(procedure, both.base_procedure), kl_weight(value), {transform}), std::nullopt);
  } else if (kind == 2) {
    check_tilted(what, tilted_density(transform, kl_weight(value)));
  } else {
    stream values(in.raw<std::uint64_t>());
    std::vector<double> rewards(2 + static_cast<std::size_t>(in.below(14)));
    for (double& r : rewards) r = std::round(8 * values.signed_unit());
    scalar on;
    check_prediction(what, evaluate_off_policy(on, rows<const double>(rewards.data(), 1, static_cast<index_t>(rewards.size())),
                                               transform, kl_weight(value), both.procedure, both.base_procedure));
  }
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace infalign::fuzz;
  input in(bytes, size);
  (void)error_of([&] { run(in); });
  return 0;
}
