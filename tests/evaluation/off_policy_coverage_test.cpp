// SPDX-License-Identifier: Apache-2.0
/// \file
/// How often the intervals of off-policy evaluation hold the truth, which is known where reward levels have known probabilities.
/// The table that the docstring quotes: `evaluation_tests --no-skip --test-case="off-policy coverage table"`.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/off_policy.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/theory/tilted_density.hpp"
#include "infalign/transform/identity.hpp"

using infalign::best_of;
using infalign::identity;
using infalign::index_t;
using infalign::kl_weight;

namespace {

constexpr index_t n_best = 4;

struct exact_values {
  double kl = 0;
  double standard_win_rate = 0;
  double inference_win_rate = 0;
};

/// Of the identity, where levels have these probabilities.
exact_values of_levels(const std::vector<double>& p, double beta) {
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
      const infalign::tilted_density density(identity{}, kl_weight(beta));
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

const std::vector<kind>& kinds() {
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
bool ranks_alone(const kind& of) {
  return of.levels.empty() && !of.pass_rates_vary;
}

struct coverage_outcome {
  double held[3] = {};  ///< shares of the data sets whose interval holds the truth, or that are marked
  double marked = 0;
  double bias[3] = {};  ///< of the prediction
};

coverage_outcome simulate(const kind& of, double beta, int samples, int prompts, int data_sets, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11) * 0x1.0p-53; };
  const exact_values t = of.exact(beta);
  infalign::simd on;
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
    const auto e = evaluate_off_policy(on, infalign::ragged<const double>(rewards, offsets), identity{}, kl_weight(beta),
                                       best_of(n_best), best_of(n_best));
    const bool marked = !e.reliable();
    found.marked += marked ? 1 : 0;
    const infalign::off_policy_value* values[] = {&e.kl, &e.standard_win_rate, &e.inference_win_rate};
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

constexpr double betas[] = {1, 0.1, 0.02};

}  // namespace

TEST_CASE("intervals of off-policy evaluation hold the truth in 90 % of data sets, or are marked") {
  // The error of a share of 0.9 is 0.04.
#if INFALIGN_TEST_GRID_MIXED
  constexpr int data_sets = 3;  // minutes without optimisation
#else
  constexpr int data_sets = 60;
#endif
  for (const kind& of : kinds()) {
    CAPTURE(of.name);
    for (const double beta : betas)
      for (const int samples : {8, 32}) {
        CAPTURE(beta);
        CAPTURE(samples);
        const coverage_outcome found =
            simulate(of, beta, samples, ranks_alone(of) ? 3 : 20, ranks_alone(of) ? 1 : data_sets, 3);
        for (const double held : found.held) CHECK(held >= 0.9 - 2 * 0.04);
      }
  }
  // What more prompts do not help against: the bias of levels.
  for (const std::size_t which : {std::size_t{1}, std::size_t{3}}) {
    const coverage_outcome found = simulate(kinds()[which], 0.1, 32, 200, data_sets / 3, 4);
    for (const double held : found.held) CHECK(held >= 0.85);
    CHECK(found.marked <= 0.1);
  }
}

TEST_CASE("off-policy coverage table" * doctest::skip()) {
  std::printf("%-22s %5s %4s %5s   %-23s %6s   %s\n", "rewards", "beta", "K", "P", "held or marked: KL, W, W4", "marked",
              "bias of KL, W, W4");
  for (const kind& of : kinds())
    for (const double beta : betas)
      for (const int samples : {4, 8, 32, 128})
        for (const int prompts : {2, 3, 5, 20, 200}) {
          const coverage_outcome found = simulate(of, beta, samples, prompts, ranks_alone(of) ? 1 : 4000, 1);
          std::printf("%-22s %5g %4d %5d   %.3f %.3f %.3f   %6.3f   %+.4f %+.4f %+.4f\n", of.name, beta, samples, prompts,
                      found.held[0], found.held[1], found.held[2], found.marked, found.bias[0], found.bias[1], found.bias[2]);
          std::fflush(stdout);
        }
}
