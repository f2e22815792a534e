// SPDX-License-Identifier: Apache-2.0
/// Soft best-of-N and rewind-and-repeat in the theory, against closed forms, enumeration, and what happens when they run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <infalign/serving.hpp>
#include <infalign/theory.hpp>
#include <infalign/transform/exponential.hpp>
#include <infalign/transform/logarithm.hpp>
#include <limits>
#include <vector>

#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

double own_quantile(double u) {
  return u;
}

/// `∫₀^q density` by the midpoint rule, between the kinks.
template <class Procedure>
double midpoint_integral(const Procedure& procedure, double low, double high) {
  double sum = 0;
  for (int i = 0; i < 2000; ++i) sum += procedure.density(low + (high - low) * (i + 0.5) / 2000) * (high - low) / 2000;
  return sum;
}

/// Wins of a policy of density 4u³, selected by its calibrated reward, over the uniform base, both served by `procedure`.
template <class Procedure>
double played_wins(const Procedure& procedure, index_t prompts) {
  const auto policy = [](span<const sample_request> requests) {
    std::vector<double> responses = test::uniform_policy(requests);
    for (double& r : responses) r = std::pow(r, 0.25);
    return responses;
  };
  const auto ours = serve(procedure, policy, test::own_reward, prompts, {.seed = 21});
  const auto theirs = serve(procedure, test::uniform_policy, test::own_reward, prompts, {.seed = 22});
  double wins = 0;
  for (std::size_t p = 0; p < ours.prompts.size(); ++p) wins += ours.prompts[p].score > theirs.prompts[p].score ? 1 : 0;
  return wins / static_cast<double>(prompts);
}

}  // namespace

TEST_CASE("soft best-of-2 in closed form: rewards u, rewards log u") {
  for (const double lambda : {10.0, 0.5, 0.03}) {
    const soft_distortion soft(soft_best_of(2, lambda), own_quantile);
    const soft_distortion of_log(soft_best_of(2, 1), [](double u) { return std::log(u); });
    for (const double q : {0.0, 1e-6, 0.2, 0.7, 0.999, 1.0}) {
      CAPTURE(q);
      // 2·∫ 1/(1 + e^{(u - q)/λ}) du and 2·∫ q/(q + u) du
      const double exact = 2 * lambda * (std::log1p(std::exp(q / lambda)) - std::log1p(std::exp((q - 1) / lambda)));
      CHECK(std::abs(soft.density(q) - exact) <= 1e-12 * std::max(1.0, lambda));
      CHECK(std::abs(of_log.density(q) - (q == 0 ? 0 : 2 * q * std::log1p(1 / q))) <= 1e-11);
    }
  }
}

TEST_CASE("soft best-of-N: one sample, its limits, and its integral") {
  const soft_distortion one(soft_best_of(1, 0.3), own_quantile), flat(soft_best_of(8, 1e9), own_quantile);
  const soft_distortion hard(soft_best_of(5, 5e-4), own_quantile), some(soft_best_of(5, 0.1), own_quantile);
  for (const double q : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    CHECK(one.distortion(q) == doctest::Approx(q).epsilon(1e-12));
    CHECK(flat.distortion(q) == doctest::Approx(q).epsilon(1e-7));
    CHECK(std::abs(hard.distortion(q) - std::pow(q, 5)) <= 5 * 5e-4);  // a tie within λ: at most N·λ of the mass moves
    CHECK(midpoint_integral(some, 0, q) == doctest::Approx(some.distortion(q)).epsilon(1e-5));
  }
  CHECK(some.name() == "soft_best_of:5:0.1");
  // A scale and a level of the reward that λ shares change nothing.
  const soft_distortion scaled(soft_best_of(5, 100), [](double u) { return 1000 * u - 1e6; });
  CHECK(scaled.density(0.8) == doctest::Approx(some.density(0.8)).epsilon(1e-9));
  // An infinite reward at the ends is none inside.
  CHECK(soft_distortion(soft_best_of(3, 1), [](double u) { return std::log(u) - std::log1p(-u); }).distortion(1) == 1);
}

TEST_CASE("soft best-of-N of two rewards: every density against the binomial distribution") {
  // Below 0.3 the reward is 0, above 1: with k of the others high, the density is N/(e^{v/λ} + …)·e^{v/λ} of them.
  const index_t n = 4;
  const double lambda = 0.7, high = std::exp(1 / lambda), share[5] = {0.027, 0.189, 0.441, 0.343, 0};
  const soft_distortion soft(soft_best_of(n, lambda), [](double q) { return q < 0.3 ? 0.0 : 1.0; });
  double below = 0, above = 0;
  for (int k = 0; k < n; ++k) {
    below += n * share[k] / (1 + k * high + (n - 1 - k));
    above += n * share[k] * high / (high + k * high + (n - 1 - k));
  }
  CHECK(soft.density(0.1) == doctest::Approx(below).epsilon(1e-10));
  CHECK(soft.density(0.9) == doctest::Approx(above).epsilon(1e-10));
  CHECK(soft.distortion(0.3) == doctest::Approx(0.3 * below).epsilon(1e-9));
}

TEST_CASE("soft best-of-N: win rates and values are those of the procedure that runs") {
  const index_t prompts = test::draws(50'000);
  const tilted_density policy(logarithm(), kl_weight(1.0 / 3));  // density 4u³
  for (const soft_best_of& procedure : {soft_best_of(4, 0.2), soft_best_of(2, 0.05), soft_best_of(16, 0.1)}) {
    const soft_distortion ours(procedure, [&](double q) { return policy.quantile(q); }), base(procedure, own_quantile);
    CHECK(test::is_share(played_wins(procedure, prompts), policy.win_rate(ours, base), prompts));
    // The true reward u² of what is served from the base.
    const auto result = serve(procedure, test::uniform_policy, test::own_reward, prompts, {.seed = 23});
    double sum = 0;
    for (const auto& prompt : result.prompts) sum += prompt.score * prompt.score / static_cast<double>(prompts);
    CHECK(std::abs(sum - served_value([](double u) { return u * u; }, base)) <=
          4 * 0.5 / std::sqrt(static_cast<double>(prompts)));
    CHECK(procedure_kl(base) < procedure_kl(best_of(procedure.n)));
  }
}

TEST_CASE("rewind-and-repeat: the density by its definition") {
  for (const index_t m : {1, 2, 5})
    for (const double b : {0.0, 0.35, 0.999, 1.0}) {
      CAPTURE(m);
      CAPTURE(b);
      const rewind_distortion last(rewind_and_repeat(0, m), b), best(rewind_and_repeat(0, m, unpassed::best), b);
      // Attempt i is reached with probability b^i; the last one is served whatever it is, or the best of all.
      double reached = 0;
      for (index_t i = 0; i < m; ++i) reached += std::pow(b, static_cast<double>(i));
      CHECK(last.expected_samples() == doctest::Approx(reached).epsilon(1e-14));
      const double none_before = std::pow(b, static_cast<double>(m - 1));
      for (const double q : {0.1, 0.34, 0.36, 0.9995}) {
        CHECK(last.density(q) == doctest::Approx(q > b ? reached : none_before).epsilon(1e-14));
        CHECK(
            best.density(q) ==
            doctest::Approx(q > b ? reached : static_cast<double>(m) * std::pow(q, static_cast<double>(m - 1))).epsilon(1e-14));
      }
      for (const auto& procedure : {last, best}) {
        CHECK(procedure.distortion(0) == 0);
        CHECK(procedure.distortion(1) == doctest::Approx(1).epsilon(1e-14));
        CHECK(procedure.distortion(b) == doctest::Approx(midpoint_integral(procedure, 0, b)).epsilon(1e-5));
        CHECK(procedure.distortion(1) ==
              doctest::Approx(procedure.distortion(b) + midpoint_integral(procedure, b, 1)).epsilon(1e-5));
      }
    }
}

TEST_CASE("rewind-and-repeat: win rates and draws are those of the procedure that runs") {
  const index_t prompts = test::draws(50'000);
  const tilted_density policy(logarithm(), kl_weight(1.0 / 3));
  const tilted_density tilted(exponential(3), kl_weight(8));
  for (const rewind_and_repeat& procedure :
       {rewind_and_repeat(0.8, 4), rewind_and_repeat(0.9, 3, unpassed::best), rewind_and_repeat(0.5, 10)}) {
    const double tau = procedure.threshold;
    const rewind_distortion ours(procedure, policy.cdf(tau)), base(procedure, tau);
    const double expected = policy.win_rate(ours, base);
    CHECK(test::is_share(played_wins(procedure, prompts), expected, prompts));
    const auto result = serve(procedure, test::uniform_policy, test::own_reward, prompts, {.seed = 24});
    // The number of draws is at most M: its variance at most M²/4.
    CHECK(std::abs(static_cast<double>(result.cost.samples) / static_cast<double>(prompts) - base.expected_samples()) <=
          2 * static_cast<double>(procedure.attempts) / std::sqrt(static_cast<double>(prompts)));
    // The integral with its kink, of another policy, by a sum over small steps.
    const rewind_distortion others(procedure, tilted.cdf(tau));
    double sum = 0;
    constexpr int steps = 4000;
    for (int i = 0; i < steps; ++i) {
      const double u = (i + 0.5) / steps;
      sum += others.distortion(tilted.cdf(u)) * base.density(u) / steps;
    }
    CHECK(std::abs(tilted.win_rate(others, base) - (1 - sum)) <= 1e-5);
  }
}

TEST_CASE("soft best-of-N and rewind-and-repeat: bad input") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(rewind_distortion(rewind_and_repeat(0, 2), 1.5),
                       "rewind_distortion: share_below is 1.5, must be in [0, 1]", domain_error);
  CHECK_THROWS_WITH_AS(rewind_distortion(rewind_and_repeat(0, 2), nan),
                       "rewind_distortion: share_below is nan, must be in [0, 1]", domain_error);
  CHECK_THROWS_WITH_AS(soft_distortion(soft_best_of(2, 1), [=](double u) { return u > 0.4 ? nan : 0; }),
                       doctest::Contains(", is nan, must be finite"), domain_error);
  CHECK_THROWS_WITH_AS(soft_distortion(soft_best_of(2, 1e-4), own_quantile),
                       doctest::Contains("must be at least a 4000th of the range of the reward"), domain_error);
}
