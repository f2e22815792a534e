// SPDX-License-Identifier: Apache-2.0
#include "variance_parts.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/core/rng.hpp"
#include "infalign/statistics/variance_split.hpp"
#include "shared_options.hpp"

namespace command {

namespace {

using infalign::index_t;

/// The samples of every prompt of `table` in a random order, of which the first half or the second is kept. A list may be sorted, and
/// counts of passes are, so that their first half would say nothing of the second.
reward_table half(const reward_table& table, bool first, std::uint64_t seed) {
  reward_table kept = table;
  kept.rewards.clear();
  kept.answers.clear();
  kept.offsets = {0};
  for (std::size_t p = 0; p < table.prompts.size(); ++p) {
    const auto begin = static_cast<std::size_t>(table.offsets[p]), count = static_cast<std::size_t>(table.count(p));
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), begin);
    for (std::size_t i = count; i > 1; --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(infalign::uniform_at(seed, begin + i) * static_cast<double>(i))]);
    for (std::size_t i = first ? 0 : count / 2; i < (first ? count / 2 : count / 2 * 2); ++i) {
      kept.rewards.push_back(table.rewards[order[i]]);
      if (!table.answers.empty()) kept.answers.push_back(table.answers[order[i]]);
    }
    kept.offsets.push_back(static_cast<index_t>(kept.rewards.size()));
  }
  return kept;
}

/// Of the samples of a prompt, of which whole multiples of `parts` are used.
double harmonic_mean_of_counts(const reward_table& table, index_t parts) {
  double inverses = 0;
  for (std::size_t p = 0; p < table.prompts.size(); ++p) inverses += 1 / static_cast<double>(table.count(p) / parts * parts);
  return static_cast<double>(table.prompts.size()) / inverses;
}

/// Unbiased for means of samples, and it needs two samples of a few prompts only.
variance_parts of_means(const reward_table& policy) {
  infalign::variance_split split;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    infalign::summary samples;
    for (const double reward : policy.groups()[static_cast<index_t>(p)]) samples.add(reward);
    split.add(samples);
  }
  if (split.sampling.count < 1 || split.means.count < 2)
    fail("{}: --variance-split needs two prompts, and two samples of one of them", policy.name);
  return {static_cast<std::size_t>(split.means.count), std::max(split.between(), 0.0), split.of_sampling(),
          harmonic_mean_of_counts(policy, 1)};
}

}  // namespace

double variance_parts::sampling_share() const {
  return between + sampling > 0 ? sampling / (between + sampling) : 0;
}
double variance_parts::standard_error(double prompts_then, double times) const {
  return std::sqrt((between + sampling / times) / prompts_then);
}

variance_parts split_variance(const estimand& what, const reward_table& policy, const reward_table& reference) {
  if (what.is_mean_of_samples()) return of_means(policy);
  const auto enough = [](const reward_table& table, std::size_t p, const infalign::any_procedure& drawn) {
    return table.count(p) >= 2 * std::max<index_t>(drawn.samples_needed(), 1);
  };
  std::vector<std::uint32_t> kept;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    const auto partner = what.has_reference() ? reference.prompts.find(policy.prompts.id(p)) : std::nullopt;
    if (enough(policy, p, what.served().policy) && (!partner || enough(reference, *partner, what.served().reference)))
      kept.push_back(static_cast<std::uint32_t>(p));
  }
  if (kept.size() < 2)
    fail("{}: --variance-split needs two prompts with twice the samples that {} draws", policy.name, what.procedure_name());
  const reward_table own = subset(policy, kept);
  const auto of_half = [&](bool first) {
    return what.of(half(own, first, 1), what.has_reference() ? half(reference, first, 2) : reward_table());
  };
  const std::vector<double> first = of_half(true), second = of_half(false);
  // By halves the sampling variance is twice what all samples have: the mean of both halves has half of theirs.
  infalign::summary means, differences;
  for (std::size_t p = 0; p < first.size(); ++p) {
    means.add(0.5 * (first[p] + second[p]));
    differences.add(0.25 * (first[p] - second[p]) * (first[p] - second[p]));
  }
  const double all = means.m2 / static_cast<double>(means.count - 1);
  return {first.size(), std::max(all - differences.mean, 0.0), differences.mean, harmonic_mean_of_counts(own, 2)};
}

void add_variance(json_object& to, const variance_parts& parts, const infalign::estimate& mean) {
  const auto prompts = static_cast<double>(mean.count);
  json_object of;
  of.add("prompts", static_cast<long long>(parts.prompts)).add("between_prompts", parts.between);
  of.add("of_sampling", parts.sampling).add("sampling_share", parts.sampling_share());
  of.add("standard_error_twice_prompts", parts.standard_error(2 * prompts, 1));
  to.add("variance", of.add("standard_error_twice_samples", parts.standard_error(prompts, 2)));
}

std::string variance_text(const variance_parts& parts, const infalign::estimate& mean) {
  const auto prompts = static_cast<double>(mean.count);
  const auto error = [&](double prompts_then, double times) {
    infalign::estimate then = mean;
    then.standard_error = parts.standard_error(prompts_then, times);
    return error_text(then);
  };
  const double share = 100 * parts.sampling_share();
  return fmt::format(
      "variance ({} prompts): {:.3g} % from prompts, {:.3g} % from samples; s.e. with twice the prompts {}, with "
      "twice the samples of each {}\n",
      parts.prompts, 100 - share, share, error(2 * prompts, 1), error(prompts, 2));
}

void add_purchase(CLI::App& to, purchase_options& chosen) {
  to.add_option("--target-error", chosen.error, "The standard error that is wanted: says how many prompts and samples to buy");
  to.add_option("--prompt-cost", chosen.prompt_cost, "What a prompt costs, in any unit (default: 0)");
  to.add_option("--sample-cost", chosen.sample_cost, "What each of its samples costs (default: 1)");
  to.add_option("--most-samples", chosen.most_samples, "Samples that a prompt may have at most (default: 4096)");
}

void check(const purchase_options& chosen, bool variance_is_split) {
  if (!chosen.error) {
    for (const auto& [option, given] : {std::pair{"--prompt-cost", chosen.prompt_cost.has_value()},
                                        {"--sample-cost", chosen.sample_cost.has_value()},
                                        {"--most-samples", chosen.most_samples.has_value()}})
      if (given) throw usage_failure(fmt::format("{}: there is no --target-error that would be bought", option));
    return;
  }
  if (!variance_is_split) throw usage_failure("--target-error: there is no --variance-split that it would go by");
  expect_positive("--target-error", *chosen.error);
  if (const double cost = chosen.prompt_cost.value_or(0); !(cost >= 0 && std::isfinite(cost)))
    throw usage_failure(fmt::format("--prompt-cost is {}, must be finite and not negative", cost));
  if (chosen.sample_cost) expect_positive("--sample-cost", *chosen.sample_cost);
  expect_at_least_one("--most-samples", chosen.most_samples);
}

infalign::sampling_plan plan_purchase(const purchase_options& chosen, const variance_parts& parts, index_t least) {
  const infalign::samples_range usual;
  const infalign::samples_range range{least, chosen.most_samples.value_or(std::max(usual.most, least))};
  if (range.most < least)
    throw usage_failure(fmt::format("--most-samples is {}, fewer than the {} that a prompt needs", range.most, least));
  constexpr index_t most = index_t{1} << 24;
  if (range.most > most) throw usage_failure(fmt::format("--most-samples is {}, must be at most {}", range.most, most));
  return option_value("--target-error", number(*chosen.error), [&](const auto&) {
    return infalign::plan_sampling(*chosen.error, {parts.between, parts.sampling * parts.samples},
                                   {chosen.prompt_cost.value_or(0), chosen.sample_cost.value_or(1)}, range);
  });
}

void add_purchase(json_object& to, const purchase_options& chosen, const infalign::sampling_plan& plan) {
  json_object of;
  of.add("standard_error", *chosen.error).add("prompts", static_cast<long long>(plan.prompts));
  to.add("sampling_plan", of.add("samples", static_cast<long long>(plan.samples)).add("cost", plan.cost));
}

std::string purchase_text(const purchase_options& chosen, const infalign::sampling_plan& plan) {
  return fmt::format("for a standard error of {}: {} prompts with {} sample{} each, at a cost of {}\n", number(*chosen.error),
                     plan.prompts, plan.samples, plan.samples == 1 ? "" : "s", number(plan.cost));
}

}  // namespace command
