// SPDX-License-Identifier: Apache-2.0
/// \file
/// Predicts an optimal policy from base samples alone, then builds that policy, samples it and measures it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "evaluation.hpp"
#include "infalign/infalign.hpp"
#include "matched_kl.hpp"
#include "methods.hpp"
#include "random_stream.hpp"
#include "scenario.hpp"

namespace align {

/// A method at one KL weight, before any training.
struct prediction {
  policy_run predicted;  ///< from rewards of base samples of the held-out prompts
  policy_run tabular;    ///< measured: the closed-form optimum on other base samples of the same prompts, sampled as a policy
  infalign::estimate kl_difference;
  std::array<infalign::estimate, n_procedures> win_rate_difference;  ///< predicted - measured, paired over prompts

  /// The largest difference, in standard errors.
  [[nodiscard]] double largest_deviation() const {
    const auto deviation = [](const infalign::estimate& e) { return std::abs(e.value) / e.standard_error; };
    double largest = deviation(kl_difference);
    for (const infalign::estimate& e : win_rate_difference) largest = std::max(largest, deviation(e));
    return largest;
  }
};

/// A distribution over the rewards of one prompt's samples, drawn from by inversion.
class reward_distribution {
 public:
  reward_distribution(infalign::span<const float> rewards, infalign::span<const float> objective, double beta)
      : rewards_(rewards) {
    const double top = static_cast<double>(*std::max_element(objective.begin(), objective.end()));
    double total = 0;
    for (const float r : objective) cumulative_.push_back(total += std::exp((static_cast<double>(r) - top) / beta));
  }

  [[nodiscard]] std::size_t draw(random_stream& random) const {
    const double at = random.uniform() * cumulative_.back();
    const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), at) - cumulative_.begin();
    return std::min(static_cast<std::size_t>(found), cumulative_.size() - 1);
  }
  /// Log of the ratio of two probabilities of sample `i`: under this distribution, and under the base policy, which is 1/K.
  [[nodiscard]] double log_ratio(std::size_t i) const {
    const double mass = cumulative_[i] - (i == 0 ? 0 : cumulative_[i - 1]);
    return std::log(mass / cumulative_.back() * static_cast<double>(cumulative_.size()));
  }
  [[nodiscard]] float reward(std::size_t i) const { return rewards_[static_cast<infalign::index_t>(i)]; }

 private:
  infalign::span<const float> rewards_;
  std::vector<double> cumulative_;
};

/// Builds the optimal policy over each prompt's own base samples, and measures it as a trained policy is measured: `n` samples drawn
/// from it play against `n` drawn from the same base samples. Its KL is the mean log-ratio of what it draws.
template <class Backend>
evaluation evaluate_tabular(Backend& on, const reward_table& own, const method<Backend>& how, double beta, std::size_t n,
                            random_stream random) {
  const auto base = own.rows();
  std::vector<float> objective(own.values.size());
  const infalign::rows<float> objectives(objective.data(), base.size(), base.columns());
  how.objective_at(beta)(on, base, base, objectives);
  reward_table policy{{}, n}, opponent{{}, n};
  evaluation result;
  for (infalign::index_t p = 0; p < base.size(); ++p) {
    const reward_distribution tilted(base[p], objectives[p], beta);
    double log_ratios = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t chosen = tilted.draw(random);
      log_ratios += tilted.log_ratio(chosen);
      policy.values.push_back(tilted.reward(chosen));
      opponent.values.push_back(tilted.reward(random.below(own.per_prompt)));
    }
    result.kl.push_back(log_ratios / static_cast<double>(n));
  }
  win_rates(on, policy, opponent, result);
  return result;
}

/// Predicts from half of the rewards of `seen`, which is enough and quicker. The policy is made of `own`, other base samples of the
/// same prompts.
template <class Backend>
prediction predict_and_play(Backend on, const reward_table& seen, const reward_table& own, const method<Backend>& how,
                            double beta, random_stream random) {
  const auto all = seen.rows();
  evaluation predicted = how.predict(on, {all.data(), all.size(), all.columns() / 2, all.stride()}, beta);
  evaluation measured = evaluate_tabular(on, own, how, beta, seen.per_prompt, random);
  const auto difference = [&](std::vector<double> a, const std::vector<double>& b, infalign::quantity_range range) {
    for (std::size_t p = 0; p < a.size(); ++p) a[p] -= b[p];
    return infalign::summarize(on, a, range);
  };
  prediction found;
  found.kl_difference = difference(predicted.kl, measured.kl, {});
  for (std::size_t i = 0; i < n_procedures; ++i)
    found.win_rate_difference[i] = difference(predicted.win_rate[i], measured.win_rate[i], infalign::win_rate_difference_range);
  found.predicted = summarize_run(on, how.name, beta, std::move(predicted));
  found.tabular = summarize_run(on, how.name, beta, std::move(measured));
  return found;
}

}  // namespace align
