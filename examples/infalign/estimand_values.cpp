// SPDX-License-Identifier: Apache-2.0
/// \file
/// How each estimand is computed, prompt by prompt.
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "estimand.hpp"
#include "failure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/answers.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "transformed.hpp"
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

/// Rewards in groups that are not a table's own.
struct regrouped {
  std::vector<double> rewards;
  std::vector<index_t> offsets{0};
};

/// The rewards of `reference` in the order of the prompts of `policy`. `check(p, partner)` looks at a prompt in either table.
template <class Check>
regrouped partners_of(const reward_table& policy, const reward_table& reference, const Check& check) {
  regrouped found;
  const auto groups = reference.groups();
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    const auto partner = reference.prompts.find(policy.prompts.id(p));
    if (!partner)
      fail("{}:{}: prompt {} has no reference in {}", policy.name, policy.first_line[p], policy.prompts.shown(p),
           reference.name);
    check(p, *partner);
    const auto group = groups[*partner];
    found.rewards.insert(found.rewards.end(), group.begin(), group.end());
    found.offsets.push_back(static_cast<index_t>(found.rewards.size()));
  }
  return found;
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
  const auto [rewards, offsets] = partners_of(policy, reference, [&](std::size_t p, std::size_t partner) {
    expect_enough(policy, p, chosen.policy);
    expect_enough(reference, partner, chosen.reference);
  });
  const auto prompts = static_cast<index_t>(policy.prompts.size());
  std::vector<double> wins(policy.prompts.size());
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

}  // namespace

std::vector<double> estimand::of(const reward_table& policy, const reward_table& reference) const {
  if (kind_ == kind::win_rate) return win_rates(policy, reference, served_);
  if (transform_) {
    const auto [rewards, offsets] = partners_of(policy, reference, [&](std::size_t p, std::size_t partner) {
      expect_enough(policy, p, 1, name_);
      expect_enough(reference, partner, served_.reference.samples_needed(), name_);
    });
    return expected_transforms(policy, infalign::ragged<const double>(rewards, offsets), *transform_);
  }
  if (kind_ != kind::expected_reward) expect_passes(policy, name_);
  if (kind_ == kind::majority_at_k) return majorities(policy, served_.policy.samples_needed(), name_);
  if (kind_ == kind::consensus_at_k) return consensus(policy, served_.policy.samples_needed(), name_);
  return expected_rewards(policy, served_.policy);
}

}  // namespace command
