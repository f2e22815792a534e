// SPDX-License-Identifier: Apache-2.0
#include "beyond_samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "failure.hpp"
#include "infalign/core/binomial.hpp"
#include "infalign/statistics/mean_covariance.hpp"

namespace command {

using infalign::index_t;

index_t fewest(const reward_table& table) {
  index_t n = table.count(0);
  for (std::size_t p = 1; p < table.prompts.size(); ++p) n = std::min(n, table.count(p));
  return n;
}

std::vector<beyond> extrapolated(const reward_table& policy, const std::vector<double>& targets) {
  if (targets.empty()) return {};
  std::vector<index_t> samples, successes;
  for (std::size_t p = 0; p < policy.prompts.size(); ++p) {
    samples.push_back(policy.count(p));
    const auto rewards = policy.groups()[static_cast<index_t>(p)];
    successes.push_back(std::count(rewards.begin(), rewards.end(), 1.0));
    if (!std::all_of(rewards.begin(), rewards.end(), is_pass))
      fail("{}:{}: prompt {} has a reward other than 0 and 1, but --extrapolate takes passes", policy.name,
           policy.first_line[p], policy.prompts.shown(p));
  }
  std::vector<double> attempts;
  for (index_t n = 1; n <= fewest(policy); n *= 2) attempts.push_back(static_cast<double>(n));
  infalign::mean_covariance curve(static_cast<index_t>(attempts.size()));
  std::vector<double> point(attempts.size());
  for (std::size_t p = 0; p < samples.size(); ++p) {
    for (std::size_t i = 0; i < attempts.size(); ++i)
      point[i] = 1 - infalign::choose_ratio(samples[p] - successes[p], samples[p], static_cast<index_t>(attempts[i]));
    curve.add(point);
  }
  const infalign::beta_rates rates = infalign::fit_beta_rates(samples, successes);
  std::vector<beyond> all;
  for (const double n : targets)
    all.push_back({n, rates.pass_at(n),
                   attempts.size() < 4 || n < attempts.back()
                       ? infalign::extrapolated_rate{std::nan(""), infalign::infinity<double>, 0, 0}
                       : infalign::extrapolate_power_law(curve, attempts, n)});
  return all;
}

}  // namespace command
