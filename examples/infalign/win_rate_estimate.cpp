// SPDX-License-Identifier: Apache-2.0
#include "win_rate_estimate.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"

namespace command {

namespace {

infalign::any_procedure procedure_option(const char* option, const std::string& text) {
  return option_value(option, text, [](const std::string& name) { return infalign::parse_procedure(name); });
}

/// Fails if a prompt has fewer samples than the procedure draws.
void expect_enough(const reward_table& table, std::size_t prompt, const infalign::any_procedure& procedure) {
  const infalign::index_t count = table.count(prompt);
  if (count < procedure.samples_needed())
    fail("{}:{}: prompt {} has {} reward{}, fewer than the {} that {} draws (--short skip leaves it out)", table.name,
         table.first_line[prompt], table.prompts.shown(prompt), count, count == 1 ? "" : "s", procedure.samples_needed(),
         procedure.name());
}

/// The rewards of `table` with its prompts in another order: group `g` of the result is prompt `order[g]`.
std::pair<std::vector<double>, std::vector<infalign::index_t>> reordered(const reward_table& table,
                                                                         const std::vector<std::uint32_t>& order) {
  std::vector<double> rewards;
  std::vector<infalign::index_t> offsets{0};
  const auto groups = table.groups();
  for (const std::uint32_t prompt : order) {
    const auto group = groups[prompt];
    rewards.insert(rewards.end(), group.begin(), group.end());
    offsets.push_back(static_cast<infalign::index_t>(rewards.size()));
  }
  return {std::move(rewards), std::move(offsets)};
}

/// Whether all groups are as large as the first.
bool equally_large(const std::vector<infalign::index_t>& offsets) {
  for (std::size_t g = 1; g < offsets.size(); ++g)
    if (offsets[g] - offsets[g - 1] != offsets[1]) return false;
  return true;
}

}  // namespace

procedures procedures::parse(const procedure_options& chosen) {
  const infalign::any_procedure own = procedure_option("--procedure", chosen.procedure);
  const std::string& reference = chosen.reference_procedure;
  return {own, reference.empty() ? own : procedure_option("--reference-procedure", reference)};
}

std::vector<double> win_rates(const reward_table& policy, const reward_table& reference, const procedures& chosen) {
  std::vector<std::uint32_t> partners;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    const auto partner = reference.prompts.find(policy.prompts.id(p));
    if (!partner)
      fail("{}:{}: prompt {} has no reference in {}", policy.name, policy.first_line[p], policy.prompts.shown(p),
           reference.name);
    expect_enough(policy, p, chosen.policy);
    expect_enough(reference, *partner, chosen.reference);
    partners.push_back(*partner);
  }
  const auto [rewards, offsets] = reordered(reference, partners);
  const auto prompts = static_cast<infalign::index_t>(partners.size());
  std::vector<double> wins(partners.size());
  infalign::simd on;
  // If all prompts have the same number of samples, the shares that the procedure serves are computed once for all.
  if (equally_large(policy.offsets) && equally_large(offsets))
    infalign::procedure_win_rate(on, infalign::rows<const double>(policy.rewards.data(), prompts, policy.offsets[1]),
                                 infalign::rows<const double>(rewards.data(), prompts, offsets[1]), chosen.policy,
                                 chosen.reference, wins);
  else
    infalign::procedure_win_rate(on, policy.groups(), infalign::ragged<const double>(rewards, offsets), chosen.policy,
                                 chosen.reference, wins);
  return wins;
}

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

std::string error_text(const infalign::estimate& of) {
  return of.count < 2 ? "–" : fmt::format("{:.4f}", of.standard_error);
}

std::string interval_text(const infalign::estimate& of, const infalign::confidence_interval& interval) {
  return of.count < 2 ? "–" : fmt::format("{:.4f} … {:.4f}", interval.low, interval.high);
}
std::string interval_text(const infalign::estimate& of, double level) {
  return interval_text(of, of.interval(level));
}

}  // namespace command
