// SPDX-License-Identifier: Apache-2.0
#include "estimand.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/answers.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "votes.hpp"

namespace command {

namespace {

using infalign::index_t;

/// Fails if a prompt has fewer samples than are drawn, by what is called `name`.
void expect_enough(const reward_table& table, std::size_t prompt, index_t needed, const std::string& name) {
  const index_t count = table.count(prompt);
  if (count < needed)
    fail("{}:{}: prompt {} has {} reward{}, fewer than the {} that {} draws (--short skip leaves it out)", table.name,
         table.first_line[prompt], table.prompts.shown(prompt), count, count == 1 ? "" : "s", needed, name);
}
void expect_enough(const reward_table& table, std::size_t prompt, const infalign::any_procedure& procedure) {
  expect_enough(table, prompt, procedure.samples_needed(), procedure.name());
}

/// The rewards of `table` with its prompts in another order: group `g` of the result is prompt `order[g]`.
std::pair<std::vector<double>, std::vector<index_t>> reordered(const reward_table& table,
                                                               const std::vector<std::uint32_t>& order) {
  std::vector<double> rewards;
  std::vector<index_t> offsets{0};
  const auto groups = table.groups();
  for (const std::uint32_t prompt : order) {
    const auto group = groups[prompt];
    rewards.insert(rewards.end(), group.begin(), group.end());
    offsets.push_back(static_cast<index_t>(rewards.size()));
  }
  return {std::move(rewards), std::move(offsets)};
}

/// Whether all groups are as large as the first.
bool equally_large(const std::vector<index_t>& offsets) {
  for (std::size_t g = 1; g < offsets.size(); ++g)
    if (offsets[g] - offsets[g - 1] != offsets[1]) return false;
  return true;
}

std::vector<double> expected_rewards(const reward_table& policy, const infalign::any_procedure& procedure) {
  const auto prompts = static_cast<index_t>(policy.prompts.size());
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) expect_enough(policy, p, procedure);
  std::vector<double> values(policy.prompts.size());
  infalign::simd on;
  if (equally_large(policy.offsets))
    infalign::expected_reward(on, infalign::rows<const double>(policy.rewards.data(), prompts, policy.offsets[1]), procedure,
                              values);
  else
    infalign::expected_reward(on, policy.groups(), procedure, values);
  return values;
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
  const auto prompts = static_cast<index_t>(partners.size());
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

/// Passes are rewards of 1, failures of 0.
void expect_passes(const reward_table& table, const std::string& name) {
  for (std::size_t p = 0; p < table.prompts.size(); ++p)
    for (auto i = table.offsets[p]; i < table.offsets[p + 1]; ++i)
      if (const double reward = table.rewards[static_cast<std::size_t>(i)]; reward != 0 && reward != 1)
        fail("{}:{}: prompt {} has a reward of {}, but {} takes 0 and 1 (or false and true)", table.name, table.first_line[p],
             table.prompts.shown(p), reward, name);
}

/// The probability of every prompt that more than half of k samples pass.
std::vector<double> consensus(const reward_table& policy, index_t k, const std::string& name) {
  std::vector<double> values;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    expect_enough(policy, p, k, name);
    const auto rewards = policy.groups()[static_cast<index_t>(p)];
    values.push_back(infalign::consensus_at_k(policy.count(p), std::count(rewards.begin(), rewards.end(), 1.0), k, k / 2 + 1));
  }
  return values;
}

/// The probability of every prompt that the most frequent of k answers is right.
std::vector<double> majorities(const reward_table& policy, index_t k, const std::string& name) {
  std::vector<double> values;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    expect_enough(policy, p, k, name);
    const votes answers = count_votes(policy, p);
    values.push_back(infalign::majority_at_k(answers.counts, answers.correct, k));
  }
  return values;
}

/// The K of `pass@K` and its like.
index_t samples_of(const std::string& name) {
  const std::string_view digits = std::string_view(name).substr(name.find('@') + 1);
  index_t k = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), k);
  if (error != std::errc() || end != digits.data() + digits.size() || k < 1)
    throw usage_failure(
        fmt::format("--estimand: '{}' must be pass@K (or cons@K, maj@K) with a whole number K of at least 1", name));
  return k;
}

void expect_absent(const std::string& name, const char* option, const std::string& value, const char* why) {
  if (!value.empty()) throw usage_failure(fmt::format("{}: {} {}", option, name, why));
}

}  // namespace

estimand estimand::parse(const estimand_options& chosen) {
  const std::string& name = chosen.estimand;
  kind what = name == "expected-reward" ? kind::expected_reward : kind::win_rate;
  for (const auto& [prefix, of] :
       {std::pair{"pass@", kind::pass_at_k}, {"cons@", kind::consensus_at_k}, {"maj@", kind::majority_at_k}})
    if (name.starts_with(prefix)) what = of;
  const bool passes = what != kind::expected_reward && what != kind::win_rate;
  if (!passes && name != "win-rate" && name != "expected-reward")
    throw usage_failure(fmt::format("--estimand: '{}' must be win-rate, expected-reward, pass@K, cons@K or maj@K", name));
  if (what != kind::majority_at_k) expect_absent(name, "--answer-field", chosen.answer_field, "reads no answers");
  if (name != "win-rate") {
    expect_absent(name, "--reference", chosen.reference, "has no reference policy");
    expect_absent(name, "--reference-procedure", chosen.reference_procedure, "has no reference policy");
  } else if (chosen.reference.empty()) {
    throw usage_failure("--reference is required (see --help)");
  }
  if (passes) {
    expect_absent(name, "--procedure", chosen.procedure, "says what is run itself");
    const infalign::any_procedure best = infalign::best_of(samples_of(name));
    return {what, name, {best, best}};
  }
  if (chosen.procedure.empty()) throw usage_failure("--procedure is required (see --help)");
  return {what, name, procedures::parse(chosen)};
}

bool estimand::is_mean_of_samples() const {
  return name_ == "pass@1" || (kind_ == kind::expected_reward && served_.policy.name() == "standard");
}

record_options estimand::with_answers(record_options records, const estimand_options& chosen) const {
  if (kind_ == kind::majority_at_k) records.answer_field = chosen.answer_field.empty() ? "answer" : chosen.answer_field;
  return records;
}

std::string estimand::procedure_name() const {
  return kind_ == kind::consensus_at_k || kind_ == kind::majority_at_k
             ? fmt::format("{} samples", served_.policy.samples_needed())
             : served_.policy.name();
}

std::string estimand::title() const {
  if (kind_ == kind::expected_reward) return "expected reward";
  return kind_ == kind::win_rate ? "win rate" : name_;
}

infalign::quantity_range estimand::range() const {
  return kind_ == kind::expected_reward ? infalign::quantity_range{} : infalign::win_rate_range;
}
infalign::quantity_range estimand::difference_range() const {
  return kind_ == kind::expected_reward ? infalign::quantity_range{} : infalign::win_rate_difference_range;
}

std::vector<double> estimand::of(const reward_table& policy, const reward_table& reference) const {
  if (kind_ == kind::win_rate) return win_rates(policy, reference, served_);
  if (kind_ != kind::expected_reward) expect_passes(policy, name_);
  if (kind_ == kind::majority_at_k) return majorities(policy, served_.policy.samples_needed(), name_);
  if (kind_ == kind::consensus_at_k) return consensus(policy, served_.policy.samples_needed(), name_);
  return expected_rewards(policy, served_.policy);
}

void add_estimand(CLI::App& to, estimand_options& chosen) {
  to.add_option("--estimand", chosen.estimand, "win-rate, expected-reward, pass@K, cons@K or maj@K")->capture_default_str();
  to.add_option("--answer-field", chosen.answer_field,
                "Field with the answer, or the list of answers, for maj@K (default: answer)");
  to.add_option("--procedure", chosen.procedure, "What is run at inference; not for pass@K and its like, which say themselves");
  to.add_option("--reference", chosen.reference,
                "Rewards of samples of the reference policy, for win rates; - for standard input");
  to.add_option("--reference-procedure", chosen.reference_procedure, "What is run on the reference policy (default: the same)");
}

std::string estimand_help() {
  return "--estimand expected-reward is the mean reward of what the procedure serves, and --estimand pass@5 the probability "
         "that "
         "at\n"
         "least one of 5 samples passes, from rewards of 0 and 1 or counts of passes. Both are estimated without bias from any "
         "larger\n"
         "number of samples, and need no --reference. --estimand cons@5 is the probability that more than half of 5 samples "
         "pass,\n"
         "--estimand maj@5 that the most frequent of 5 answers is right, where equally frequent ones are chosen from at "
         "random. "
         "For\n"
         "it a record also has its answer, a string or an integer ({\"prompt_id\": …, \"reward\": 1, \"answer\": \"42\"}, or "
         "two "
         "lists).\n"
         "Equal answers must be written alike and have equal rewards. An answer of null is missing; write \"\" for a sample\n"
         "that gave none, which then votes as one wrong answer.\n";
}

}  // namespace command
