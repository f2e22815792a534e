// SPDX-License-Identifier: Apache-2.0
// The closed-form frontiers of the main job, against the definitions on bases so small that everything can be listed.

#include "closed_form.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

namespace {

using backend = infalign::scalar;
using make = align::method_maker<backend>;

constexpr std::size_t samples = 6;

/// Three prompts of six samples: all different, with ties, and in two levels.
const std::vector<float> rewards = {0.3f, -1.2f, 0.9f, 2.0f, 0.1f, -0.4f, 1, 0, 1, 3, 0, 1, 0, 0, 1, 0, 0, 0};

align::scenario scenario_of(const std::vector<float>& closed_form) {
  align::random_stream random(1);
  return {{}, align::language_model<float>(random), {}, {}, {}, {closed_form, samples}};
}

using distribution = std::array<double, samples>;

distribution tilted(const std::array<double, samples>& objective, double beta) {
  distribution p{};
  double sum = 0;
  for (std::size_t i = 0; i < samples; ++i) sum += p[i] = std::exp(objective[i] / beta);
  for (double& x : p) x /= sum;
  return p;
}
double kl_of(const distribution& p) {
  double sum = 0;
  for (const double x : p) sum += x > 0 ? x * std::log(samples * x) : 0;
  return sum;
}

/// Of every sample, the probability that it is what `draws` draws serve: of the 6^draws sequences, the first of the best.
distribution served(const distribution& p, const float* reward, int draws, bool best) {
  distribution found{};
  std::vector<std::size_t> chosen(static_cast<std::size_t>(draws), 0);
  for (bool more = true; more;) {
    double probability = 1;
    std::size_t winner = chosen.front();
    for (const std::size_t i : chosen) {
      probability *= p[i];
      if (best ? reward[i] > reward[winner] : reward[i] < reward[winner]) winner = i;
    }
    found[winner] += probability;
    more = false;
    for (std::size_t& digit : chosen) {
      more = ++digit < samples;
      if (more) break;
      digit = 0;
    }
  }
  return found;
}
double win_rate_of(const distribution& p, const float* reward, int draws, bool best) {
  distribution base;
  base.fill(1.0 / samples);
  const distribution ours = served(p, reward, draws, best), theirs = served(base, reward, draws, best);
  double sum = 0;
  for (std::size_t i = 0; i < samples; ++i)
    for (std::size_t j = 0; j < samples; ++j)
      sum += ours[i] * theirs[j] * (reward[i] > reward[j] ? 1 : reward[i] == reward[j] ? 0.5 : 0);
  return sum;
}

/// Objectives of the three prompts, by the definition of a method.
using objectives = std::array<std::array<double, samples>, 3>;

objectives raw_objective() {
  objectives found{};
  for (std::size_t i = 0; i < rewards.size(); ++i) found[i / samples][i % samples] = static_cast<double>(rewards[i]);
  return found;
}
/// `Φ` of the share of base samples below, equal ones counting ½.
objectives calibrated_objective(const std::function<double(double)>& transform) {
  objectives found{};
  for (std::size_t p = 0; p < 3; ++p)
    for (std::size_t i = 0; i < samples; ++i) {
      double rank = 0;
      for (std::size_t j = 0; j < samples; ++j) {
        const float a = rewards[p * samples + j], b = rewards[p * samples + i];
        rank += a < b ? 1 : a == b ? 0.5 : 0;
      }
      found[p][i] = transform(rank / samples);
    }
  return found;
}
double mean_kl(const objectives& objective, double beta) {
  double sum = 0;
  for (const auto& of_prompt : objective) sum += kl_of(tilted(of_prompt, beta)) / 3;
  return sum;
}

/// Every point of a frontier against its definition at the β that it gives; `of_beta` is the objective in `double`, and `rounding`
/// how far that of the method, which is stored in `float`, may be from it.
void check_frontier(const align::method<backend>& how, const std::function<objectives(double)>& of_beta, double rounding) {
  const align::scenario from = scenario_of(rewards);
  align::closed_form_frontier<backend> frontier(backend(), from, how);
  for (const double kl : {0.02, 0.1, 0.3, 0.5}) {
    CAPTURE(how.name);
    CAPTURE(kl);
    const align::closed_form_point point = frontier.at_kl(kl);
    CHECK(point.method == how.name);
    CHECK(std::abs(point.kl / kl - 1) <= 1e-5);  // how far the search goes
    const objectives objective = of_beta(point.beta);
    // An objective that is off by δ multiplies no probability by more than e^{2δ/β}; KL and four draws on, a few times that.
    const double tolerance = 1e-12 + 16 * rounding / point.beta;
    CHECK(std::abs(point.kl - mean_kl(objective, point.beta)) <= tolerance);
    for (std::size_t procedure = 0; procedure < align::n_procedures; ++procedure) {
      double expected = 0;
      for (std::size_t p = 0; p < 3; ++p)
        expected +=
            win_rate_of(tilted(objective[p], point.beta), &rewards[p * samples], procedure == 0 ? 1 : 4, procedure < 2) / 3;
      CHECK(std::abs(point.win_rate[procedure] - expected) <= tolerance);
    }
    // The β itself, by bisection on the definition; what 1e-5 in the KL is in log β follows from the slope there.
    double low = 1e-4, high = 1e4;
    for (int i = 0; i < 200; ++i) {
      const double middle = std::sqrt(low * high);
      (mean_kl(of_beta(middle), middle) > kl ? low : high) = middle;
    }
    const double slope = std::log(mean_kl(of_beta(1.01 * low), 1.01 * low) / mean_kl(of_beta(low), low)) / std::log(1.01);
    CHECK(std::abs(std::log(point.beta / low)) <= (1.1e-5 + tolerance / kl) / std::abs(slope));
  }
}

}  // namespace

TEST_CASE("optimal policies of the raw reward: KL, win rates and KL weight by their definitions") {
  check_frontier(
      make::raw_reward({1}), [](double) { return raw_objective(); }, 0);
}

TEST_CASE("optimal policies of a transform of the calibrated reward") {
  check_frontier(
      make::exponential(5, {1}), [](double) { return calibrated_objective([](double u) { return std::exp(5 * (u - 1)); }); },
      4 * 0x1p-24);
}

TEST_CASE("optimal policies where the objective depends on the KL weight") {
  // A transform of our own that does, so that the bisection needs no solution of a boundary-value problem a step.
  auto how = make::calibrated(
      "own", [](double beta) { return infalign::scaled(infalign::exponential(5), std::exp(-5) * std::sqrt(beta)); }, {1});
  how.depends_on_beta = true;
  check_frontier(
      how,
      [](double beta) { return calibrated_objective([beta](double u) { return std::sqrt(beta) * std::exp(5 * (u - 1)); }); },
      16 * 0x1p-24);
}

TEST_CASE("the limit for plain sampling is that of the truncated exponential distribution") {
  // The optimum is f(u) = t·e^{tu}/(e^t - 1): mean 1/(1 - e^{-t}) - 1/t and KL = t·mean - log((e^t - 1)/t).
  std::vector<double> kls, means;
  for (const double t : {0.5, 2.0, 5.0}) {
    means.push_back(1 / (1 - std::exp(-t)) - 1 / t);
    kls.push_back(t * means.back() - std::log(std::expm1(t) / t));
  }
  const auto points = align::theoretical_limit(kls);
  REQUIRE(points.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(points[i].kl == kls[i]);
    CHECK(points[i].win_rate[0] == doctest::Approx(means[i]).epsilon(1e-9));
  }
}

TEST_CASE("no policy on a fine base passes the limit under any procedure") {
  // 2,000 equally likely levels of the quantile, tilted by powers of it, of which the limits know nothing. A finite base gives
  // away at most the width of a level, 1/2,000, of a quantile: less than 4/2,000 of a win rate.
  constexpr std::size_t levels = 2000;
  for (const double power : {0.25, 1.0, 3.0}) {
    double mass = 0, kl = 0, best = 0, worst = 0, standard = 0, cdf = 0;
    std::vector<double> p(levels);
    for (std::size_t i = 0; i < levels; ++i) mass += p[i] = std::pow((static_cast<double>(i) + 0.5) / levels, power);
    for (std::size_t i = 0; i < levels; ++i) {
      const double x = p[i] / mass, below = static_cast<double>(i) / levels, above = static_cast<double>(i + 1) / levels;
      kl += x * std::log(levels * x);
      standard += x * (below + above) / 2;
      const double next = std::min(1.0, cdf + x);
      best += (std::pow(next, 4) - std::pow(cdf, 4)) * (std::pow(below, 4) + std::pow(above, 4)) / 2;
      worst += (std::pow(1 - cdf, 4) - std::pow(1 - next, 4)) * (2 - std::pow(1 - below, 4) - std::pow(1 - above, 4)) / 2;
      cdf = next;
    }
    CAPTURE(power);
    const align::limit_point limit = align::theoretical_limit({kl}).front();
    CHECK(standard <= limit.win_rate[0] + 4.0 / levels);
    CHECK(best <= limit.win_rate[1] + 4.0 / levels);
    CHECK(worst <= limit.win_rate[2] + 4.0 / levels);
    // And the limit is no idle bound: powers come near it under plain sampling.
    CHECK(standard >= limit.win_rate[0] - 0.02);
  }
}
