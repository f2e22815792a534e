// SPDX-License-Identifier: Apache-2.0
#include "served_kl.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "estimate_text.hpp"
#include "failure.hpp"
#include "infalign/evaluation/best_of_kl.hpp"
#include "infalign/procedure/any_procedure.hpp"
#include "left_out.hpp"
#include "paired_table.hpp"
#include "prompt_mean.hpp"
#include "reward_table.hpp"
#include "text_table.hpp"

namespace command {

namespace {

using infalign::index_t;

/// What a file says, with the name that a report gives it.
struct measured_kl {
  const char* name;
  infalign::estimate mean;
  std::size_t responses, prompts;
  std::uint64_t missing;
};

/// Of every response in `[first, last)`; calls `wrong(log_probability)`, which throws, for one above 0.
template <class Fail>
std::vector<double> probabilities(const double* first, const double* last, const Fail& wrong) {
  std::vector<double> all;
  for (; first != last; ++first) {
    if (*first > 0) wrong(*first);
    all.push_back(std::exp(*first));
  }
  return all;
}

measured_kl of_served(const served_kl_options& chosen, index_t n) {
  reward_table served = read_rewards(chosen.file, chosen.records);
  drop_short_prompts(std::array<required, 1>{{{&served, 1}}});  // all responses to a prompt may be missing
  std::vector<double> values(served.prompts.size());
  for (std::size_t p = 0; p < values.size(); ++p) {
    const auto group = served.groups()[static_cast<index_t>(p)];
    for (const double probability : probabilities(group.begin(), group.end(), [&](double given) {
           fail("{}:{}: prompt {} has a {} of {}, must be at most 0", served.name, served.first_line[p],
                served.prompts.shown(p), chosen.records.reward_field, given);
         }))
      values[p] += infalign::best_of_kl_estimate(n, probability) / static_cast<double>(group.size());
  }
  return {"estimate", mean_over_prompts(values, served.clusters, {0, infalign::best_of_kl_bound(n)}), served.rewards.size(),
          values.size(), served.missing};
}

measured_kl of_all(const served_kl_options& chosen, index_t n) {
  paired_table all = read_pairs(chosen.file, chosen.records, chosen.records.reward_field, chosen.reward_field);
  all.drop_short(1);
  std::vector<double> values;
  for (std::size_t p = 0; p < all.prompts.size(); ++p) {
    std::vector<double> own =
        probabilities(all.first.data() + all.offsets[p], all.first.data() + all.offsets[p + 1], [&](double given) {
          fail("{}: prompt {} has a {} of {}, must be at most 0", all.name, all.prompts.shown(p), chosen.records.reward_field,
               given);
        });
    double sum = 0;
    for (const double probability : own) sum += probability;
    constexpr double rounding = 1e-6;  // of log-probabilities in single precision
    if (std::abs(sum - 1) > rounding)
      fail("{}: prompt {} has responses whose probabilities sum to {}, must be 1: --reward-field takes all that there are",
           all.name, all.prompts.shown(p), sum);
    for (double& probability : own) probability /= sum;
    values.push_back(
        infalign::best_of_kl(n, own, infalign::span<const double>(all.second.data() + all.offsets[p], all.count(p))));
  }
  return {"exact", mean_over_prompts(values, all.clusters, {0, infalign::best_of_kl_bound(n)}), all.first.size(), values.size(),
          all.missing};
}

std::string json(const served_kl_options& chosen, index_t n, const std::optional<measured_kl>& found) {
  json_object of;
  of.add("procedure", infalign::best_of(n).name()).add("bound", infalign::best_of_kl_bound(n));
  if (!found) return of.text() + '\n';
  json_object mean;
  mean.add("value", found->mean.value);
  add_error(mean, found->mean, chosen.level);
  of.add(found->name, mean)
      .add("responses", static_cast<long long>(found->responses))
      .add("prompts", static_cast<long long>(found->prompts));
  if (!chosen.records.cluster_field.empty()) of.add("clusters", static_cast<long long>(found->mean.count));
  return of.add("missing_responses", static_cast<long long>(found->missing)).add("level", chosen.level).text() + '\n';
}

}  // namespace

index_t best_of_count(const std::string& procedure) {
  const auto parsed = option_value("--procedure", procedure, [](const auto& text) { return infalign::parse_procedure(text); });
  return parsed.visit([&]<class Procedure>(const Procedure& of) -> index_t {
    if constexpr (std::same_as<Procedure, infalign::best_of>) return of.n;
    throw usage_failure(fmt::format("--procedure is {}, must be best_of:N", excerpt(procedure)));
  });
}

std::string served_kl_report(const served_kl_options& chosen, index_t n) {
  std::optional<measured_kl> found;
  if (!chosen.file.empty()) found = chosen.reward_field.empty() ? of_served(chosen, n) : of_all(chosen, n);
  if (chosen.json) return json(chosen, n, found);
  const std::string bound = fmt::format("{:.4f}", infalign::best_of_kl_bound(n)), name = infalign::best_of(n).name();
  if (!found) return fmt::format("KL of {} is at most {} nats\n", name, bound);
  text_table out({name, "KL, nats", "s.e.", fmt::format("{:g} % interval", 100 * chosen.level)});
  out.add({"bound", bound, "", ""});
  const infalign::estimate& mean = found->mean;
  out.add({found->name, value_text(mean), error_text(mean), interval_text(mean, chosen.level)});
  return out.text() + fmt::format("{} responses to {} prompts\n", found->responses, found->prompts) +
         clusters_text(chosen.records, mean) +
         (found->missing > 0 ? fmt::format("left out: {} responses with a missing number\n", found->missing) : "");
}

}  // namespace command
