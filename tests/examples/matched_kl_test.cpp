// SPDX-License-Identifier: Apache-2.0
// The comparison behind the main job's table: frontiers, their interpolation at a common KL, and the error of a difference.

#include "matched_kl.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "support/samples.hpp"

using align::policy_run;

namespace {

/// A policy from the KL and the win rate of every prompt, the same under all procedures.
policy_run run_of(const std::string& method, std::vector<double> kl, const std::vector<double>& win_rate) {
  infalign::scalar on;
  align::evaluation result{std::move(kl), {}};
  result.win_rate.fill(win_rate);
  return align::summarize_run(on, method, 1, std::move(result));
}

std::vector<double> mean_and_spread(double mean, double spread) {
  return {mean - spread, mean, mean + spread};
}

}  // namespace

TEST_CASE("a run is summarised over prompts, with the ranges of its quantities") {
  const policy_run run = run_of("a", {0.1, 0.2, 0.6}, {0.5, 0.6, 1.0});
  CHECK(run.kl.value == doctest::Approx(0.3).epsilon(1e-15));
  CHECK(run.kl.standard_error == doctest::Approx(std::sqrt((0.04 + 0.01 + 0.09) / 2 / 3)).epsilon(1e-14));
  CHECK((run.kl.lowest == 0 && std::isinf(run.kl.highest)));
  for (const infalign::estimate& w : run.win_rate) {
    CHECK(w.value == doctest::Approx(0.7).epsilon(1e-15));
    CHECK((w.lowest == 0 && w.highest == 1));
  }
}

TEST_CASE("a frontier is one method's policies by increasing KL") {
  const std::vector<policy_run> runs = {run_of("a", {0.7}, {0.8}), run_of("b", {0.1}, {0.6}), run_of("a", {0.2}, {0.6}),
                                        run_of("a", {0.4}, {0.7})};
  const auto points = align::frontier(runs, "a");
  REQUIRE(points.size() == 3);
  CHECK(points[0] == &runs[2]);
  CHECK(points[1] == &runs[3]);
  CHECK(points[2] == &runs[0]);
  CHECK(align::frontier(runs, "c").empty());
}

TEST_CASE("the mean is the point of the broken line through the frontier") {
  const std::vector<policy_run> runs = {run_of("a", mean_and_spread(0.2, 0.1), mean_and_spread(0.6, 0.05)),
                                        run_of("a", mean_and_spread(0.4, 0.3), mean_and_spread(0.7, 0.01)),
                                        run_of("a", mean_and_spread(1.0, 0.2), mean_and_spread(0.76, 0.03))};
  const auto points = align::frontier(runs, "a");
  const std::pair<double, double> line[] = {{0.2, 0.6}, {0.25, 0.625}, {0.4, 0.7}, {0.7, 0.73}, {1.0, 0.76}};
  for (const auto& [at, expected] : line) {
    const double kl = at;  // CAPTURE is a lambda, and clang before 16 captures no structured binding
    CAPTURE(kl);
    const std::vector<double> found = align::win_rate_at(points, 1, kl);
    CHECK((found[0] + found[1] + found[2]) / 3 == doctest::Approx(expected).epsilon(1e-14));
  }
}

TEST_CASE("where the win rate of a prompt is a linear function of its KL, the scatter of the KLs leaves no error") {
  // W = 0.5 + 0.3·KL for every prompt of both policies: each prompt then says exactly 0.5 + 0.3·0.5.
  const std::vector<double> low{0.1, 0.5, 0.2, 0.4}, high{0.9, 0.6, 0.7, 1.0};
  const auto win_rates = [](const std::vector<double>& kl) {
    std::vector<double> wins;
    for (const double x : kl) wins.push_back(0.5 + 0.3 * x);
    return wins;
  };
  const std::vector<policy_run> runs = {run_of("a", low, win_rates(low)), run_of("a", high, win_rates(high))};
  for (const double w : align::win_rate_at(align::frontier(runs, "a"), 0, 0.5))
    CHECK(w == doctest::Approx(0.65).epsilon(1e-14));
}

TEST_CASE("the common KL is the wanted one, or the nearest that both frontiers span") {
  const std::vector<policy_run> runs = {run_of("a", {0.2}, {0.6}), run_of("a", {0.6}, {0.7}), run_of("b", {0.4}, {0.6}),
                                        run_of("b", {0.9}, {0.7}), run_of("c", {0.7}, {0.7}), run_of("c", {0.9}, {0.7}),
                                        run_of("d", {0.5}, {0.7})};
  const auto common = [&](const char* one, const char* other, double wanted) {
    return align::common_kl(align::frontier(runs, one), align::frontier(runs, other), wanted);
  };
  CHECK(common("a", "b", 0.5) == 0.5);
  CHECK(common("a", "b", 0.1) == 0.4);
  CHECK(common("b", "a", 2.0) == 0.6);
  CHECK_FALSE(common("a", "c", 0.65).has_value());
  CHECK_FALSE(common("a", "d", 0.5).has_value());  // one policy spans nothing
}

TEST_CASE("the difference at matched KL and its standard error, against a simulation with known covariance") {
  // Two methods of two policies each. Policy r of prompt p: a prompt's own size z₀ in all of them, what sampling adds to KL and win
  // rate together (z_r), and what it adds to the win rate alone.
  struct policy {
    const char* method;
    double kl;
    double win_rate;
  };
  constexpr policy policies[] = {{"a", 0.3, 0.60}, {"a", 0.7, 0.75}, {"b", 0.2, 0.55}, {"b", 0.8, 0.70}};
  constexpr double prompt_kl = 0.1, prompt_wins = 0.08, shared_kl = 0.15, shared_wins = 0.1, own_wins = 0.05;
  constexpr double wanted = 0.5, truth = (0.60 + 0.75) / 2 - (0.55 + 0.70) / 2;
  // The variance of a prompt's difference by the delta method: both interpolate half way.
  constexpr double slopes[] = {0.15 / 0.4, 0.15 / 0.4, 0.15 / 0.6, 0.15 / 0.6};
  double of_prompt = 0, variance = 0;
  for (std::size_t r = 0; r < 4; ++r) {
    const double weight = r < 2 ? 0.5 : -0.5;
    of_prompt += weight * (prompt_wins - slopes[r] * prompt_kl);
    variance += weight * weight * (std::pow(shared_wins - slopes[r] * shared_kl, 2) + own_wins * own_wins);
  }
  variance += of_prompt * of_prompt;

  const int repetitions = infalign::test::draws(2000);
  constexpr std::size_t prompts = 200;
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal;
  infalign::scalar on;
  double sum = 0, squares = 0, reported = 0;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    std::vector<double> size(prompts);
    for (double& z : size) z = normal(generator);
    std::vector<policy_run> runs;
    for (const policy& of : policies) {
      std::vector<double> kl, wins;
      for (const double z0 : size) {
        const double z = normal(generator);
        kl.push_back(of.kl + prompt_kl * z0 + shared_kl * z);
        wins.push_back(of.win_rate + prompt_wins * z0 + shared_wins * z + own_wins * normal(generator));
      }
      runs.push_back(run_of(of.method, std::move(kl), wins));
    }
    const auto found = align::compare_at_matched_kl(on, runs, {"a", "b"}, "b", wanted);
    REQUIRE(found.size() == align::n_procedures);
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].procedure == align::procedure_names[i]);
      CHECK(found[i].method == "a");
      CHECK(found[i].kl == wanted);
    }
    const infalign::estimate& difference = found.front().difference;
    REQUIRE((difference.lowest == -1 && difference.highest == 1));
    sum += difference.value - truth;
    squares += (difference.value - truth) * (difference.value - truth);
    reported += difference.standard_error * difference.standard_error;
  }
  const double n = repetitions, of_mean = variance / prompts;
  // Terms of second order: variances of KLs of 0.0325/200 times slope/(KL between the policies), at most 0.94, over three pairs.
  CHECK(std::abs(sum / n) <= 4 * std::sqrt(of_mean / n) + 5e-4);
  // A variance of n values has the relative standard error √(2/n); that of the mean of n variances of 200 is smaller by √200.
  // The rest of the delta method is of the order 1/200.
  CHECK(std::abs(squares / n / of_mean - 1) <= 4 * std::sqrt(2 / n) + 0.02);
  CHECK(std::abs(reported / n / of_mean - 1) <= 4 * std::sqrt(2 / n / prompts) + 0.02);
}
