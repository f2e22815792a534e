// SPDX-License-Identifier: Apache-2.0
/// \file
/// How often the intervals of off-policy evaluation hold the truth, for kinds of rewards whose truth is known.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/off_policy.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/theory/tilted_density.hpp"
#include "infalign/transform/identity.hpp"

namespace infalign::test::off_policy {

inline constexpr index_t n_best = 4;

struct exact_values {
  double kl = 0;
  double standard_win_rate = 0;
  double inference_win_rate = 0;
};

/// Of the identity, where levels have these probabilities.
inline exact_values of_levels(const std::vector<double>& p, double beta) {
  std::vector<double> weight;
  double below = 0, mass = 0;
  for (const double q : p) {
    weight.push_back(q * std::exp((below + q / 2 - 1) / beta));
    mass += weight.back();
    below += q;
  }
  exact_values t;
  double policy_cdf = 0, base_cdf = 0;
  const auto served = [](double cdf) { return std::pow(cdf, static_cast<double>(n_best)); };
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double share = weight[i] / mass;
    if (share > 0) t.kl += share * std::log(share / p[i]);
    t.standard_win_rate += share * (base_cdf + p[i] / 2);
    const double policy_next = std::min(1.0, policy_cdf + share), base_next = std::min(1.0, base_cdf + p[i]);
    t.inference_win_rate += (served(policy_next) - served(policy_cdf)) * 0.5 * (served(base_cdf) + served(base_next));
    policy_cdf = policy_next;
    base_cdf = base_next;
  }
  return t;
}

/// A kind of rewards. Without levels they are continuous, or passes at a rate that is uniform over the prompts.
struct kind {
  const char* name;
  std::vector<double> levels;
  bool pass_rates_vary = false;
  bool ragged = false;

  [[nodiscard]] exact_values exact(double beta) const {
    if (!levels.empty()) return of_levels(levels, beta);
    if (!pass_rates_vary) {
      const tilted_density density(identity{}, kl_weight(beta));
      return {density.kl(), density.standard_win_rate(), density.win_rate(best_of(n_best), best_of(n_best))};
    }
    exact_values mean;
    constexpr int steps = 4000;
    for (int i = 0; i < steps; ++i) {
      const double rate = (i + 0.5) / steps;
      const exact_values t = of_levels({1 - rate, rate}, beta);
      mean.kl += t.kl / steps;
      mean.standard_win_rate += t.standard_win_rate / steps;
      mean.inference_win_rate += t.inference_win_rate / steps;
    }
    return mean;
  }
};

inline const std::vector<kind>& kinds() {
  static const std::vector<kind> all{{"continuous", {}},
                                     {"levels .1 .2 .4 .2 .1", {0.1, 0.2, 0.4, 0.2, 0.1}},
                                     {"the same, ragged", {0.1, 0.2, 0.4, 0.2, 0.1}, false, true},
                                     {"levels .6 .3 .1", {0.6, 0.3, 0.1}},
                                     {"passes .5", {0.5, 0.5}},
                                     {"passes .9", {0.1, 0.9}},
                                     {"passes .1", {0.9, 0.1}},
                                     {"passes .01", {0.99, 0.01}},
                                     {"passes 0 to 1", {}, true},
                                     {"always equal", {1.0}}};
  return all;
}

/// Continuous rewards have one prediction, as nothing but ranks matters.
inline bool ranks_alone(const kind& of) {
  return of.levels.empty() && !of.pass_rates_vary;
}

struct coverage_outcome {
  double held[3] = {};  ///< shares of the data sets whose interval holds the truth, or that are marked
  double marked = 0;
  double bias[3] = {};  ///< of the prediction
};

inline coverage_outcome simulate(const kind& of, double beta, int samples, int prompts, int data_sets, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11) * 0x1.0p-53; };
  const exact_values t = of.exact(beta);
  simd on;
  coverage_outcome found;
  for (int r = 0; r < data_sets; ++r) {
    std::vector<double> rewards;
    std::vector<index_t> offsets{0};
    for (int p = 0; p < prompts; ++p) {
      const int k = of.ragged ? std::max(samples / 2, 4) << static_cast<int>(2 * uniform()) : samples;
      const double rate = uniform();
      for (int i = 0; i < k; ++i) {
        double u = uniform();
        double value = of.pass_rates_vary ? (u < rate ? 1.0 : 0.0) : u;
        if (!of.levels.empty())
          for (value = 0; u >= of.levels[static_cast<std::size_t>(value)] && value + 1 < static_cast<double>(of.levels.size());
               ++value)
            u -= of.levels[static_cast<std::size_t>(value)];
        rewards.push_back(value);
      }
      offsets.push_back(static_cast<index_t>(rewards.size()));
    }
    const auto e = evaluate_off_policy(on, ragged<const double>(rewards, offsets), identity{}, kl_weight(beta), best_of(n_best),
                                       best_of(n_best));
    const bool marked = !e.reliable();
    found.marked += marked ? 1 : 0;
    const off_policy_value* values[] = {&e.kl, &e.standard_win_rate, &e.inference_win_rate};
    const double exact[] = {t.kl, t.standard_win_rate, t.inference_win_rate};
    for (int q = 0; q < 3; ++q) {
      const auto interval = values[q]->interval();
      found.held[q] += marked || (interval.low <= exact[q] && exact[q] <= interval.high) ? 1 : 0;
      found.bias[q] += values[q]->corrected.value - exact[q];
    }
  }
  found.marked /= data_sets;
  for (int q = 0; q < 3; ++q) found.held[q] /= data_sets, found.bias[q] /= data_sets;
  return found;
}

}  // namespace infalign::test::off_policy
