// SPDX-License-Identifier: Apache-2.0
/// \file
/// What was not sampled: off-policy evaluation, and success rates at more attempts than were made.
#include <cmath>
#include <cstddef>
#include <random>

#include "coverage/measure.hpp"
#include "evaluation/off_policy_kinds.hpp"
#include "infalign/core/binomial.hpp"
#include "infalign/evaluation/extrapolate.hpp"

namespace infalign::coverage {
namespace {

void evaluations(table& to, std::size_t which, double beta, int samples, int most) {
  const auto& of = test::off_policy::kinds()[which];
  const std::string data = std::string(of.name) + ", β = " + (beta < 0.5 ? "0.1" : "1") + ", K = " + std::to_string(samples);
  to.add(
      data, {{"`evaluate_off_policy`, KL"}, {"… standard win rate"}, {"… win rate of best-of-4"}},
      [&](random_stream& random, int prompts, std::vector<outcome>& out) {
        const auto found = test::off_policy::simulate(of, beta, samples, prompts, 1, random.generator()());
        for (std::size_t q = 0; q < 3; ++q)
          out[q] = found.marked > 0 ? outcome::refused : found.held[q] > 0 ? outcome::held : outcome::missed;
      },
      most);
}

/// The rate at 10,000 attempts of prompts whose rates are Beta(a, b), from 100 attempts each.
void rates(table& to, const char* data, double a, double b, int power_from) {
  constexpr double target = 1e4;
  constexpr index_t attempts = 100;
  const double truth =
      1 - std::exp(std::lgamma(b + target) + std::lgamma(a + b) - std::lgamma(a + b + target) - std::lgamma(b));
  const std::vector<double> at{1, 2, 4, 8, 16, 32, 64};
  std::vector<index_t> samples, successes;
  to.add(
      data, {{"`beta_rates::pass_at`"}, {"`extrapolate_power_law`", power_from}},
      [&](random_stream& random, int prompts, std::vector<outcome>& out) {
        std::gamma_distribution<double> x(a), y(b);
        samples.assign(static_cast<std::size_t>(prompts), attempts);
        successes.clear();
        mean_covariance curve(static_cast<index_t>(at.size()));
        std::vector<double> point(at.size());
        for (int p = 0; p < prompts; ++p) {
          const double u = x(random.generator()), rate = u / (u + y(random.generator()));
          successes.push_back(std::binomial_distribution<index_t>(attempts, rate)(random.generator()));
          for (std::size_t i = 0; i < at.size(); ++i)
            point[i] = 1 - choose_ratio(attempts - successes.back(), attempts, static_cast<index_t>(at[i]));
          curve.add(point);
        }
        try {
          out[0] = holds(fit_beta_rates(samples, successes).pass_at(target).interval(), truth);
          out[1] = holds(extrapolate_power_law(curve, at, target).interval(), truth);
        } catch (const domain_error&) {
          out[0] = out[1] = outcome::refused;
        }
      },
      200);
}

}  // namespace

void off_policy(table& to) {
  for (const std::size_t which : {std::size_t{1}, std::size_t{5}, std::size_t{8}})
    for (const int samples : {8, 32}) evaluations(to, which, 0.1, samples, 200);
  evaluations(to, 1, 1, 8, 2000);
}

void success_rates(table& to) {
  rates(to, "Beta(0.3, 10) rates, 10,000 attempts from 100", 0.3, 10, 5);
  rates(to, "Beta(0.15, 2) rates, 10,000 attempts from 100", 0.15, 2, never);
}

}  // namespace infalign::coverage
