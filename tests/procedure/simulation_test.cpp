// SPDX-License-Identifier: Apache-2.0
/// What the formulas say of a policy against its base, and what happens when both are sampled and served literally: draw as many
/// responses as the procedure says, serve the one that it picks, compare. No distortion takes part in that.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <infalign/infalign.hpp>
#include <random>
#include <vector>

#include "support/samples.hpp"

using infalign::best_of;
using infalign::best_of_poisson;
using infalign::best_of_random;
using infalign::index_t;
using infalign::order_statistic;
using infalign::standard;
using infalign::top_of;
using infalign::worst_of;

namespace {

constexpr int games = infalign::test::draws(1'000'000);

class uniform_numbers {
 public:
  explicit uniform_numbers(std::uint64_t seed) : generator_(seed) {}
  double operator()() { return std::uniform_real_distribution<double>()(generator_); }
  index_t below(index_t n) { return static_cast<index_t>(generator_() % static_cast<std::uint64_t>(n)); }

 private:
  std::mt19937_64 generator_;
};

/// A user's own procedure, with nothing but its distortion: the median of three.
struct median_of_three {
  [[nodiscard]] INFALIGN_HD static double distortion(double q) { return q * q * (3 - 2 * q); }
};

template <class Draw>
double largest_of(index_t n, Draw& draw) {
  double best = draw();
  for (index_t i = 1; i < n; ++i) best = std::max(best, draw());
  return best;
}
/// The sample of rank `rank`, from 1 in ascending order, of n.
template <class Draw>
double rank_of(index_t rank, index_t n, Draw& draw) {
  std::vector<double> samples(static_cast<std::size_t>(n));
  for (double& s : samples) s = draw();
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<std::size_t>(rank - 1)];
}

/// The procedures, literally: one served reward.
template <class Draw>
double serve(const standard&, Draw& draw, uniform_numbers&) {
  return draw();
}
template <class Draw>
double serve(const best_of& p, Draw& draw, uniform_numbers&) {
  return largest_of(p.n, draw);
}
template <class Draw>
double serve(const worst_of& p, Draw& draw, uniform_numbers&) {
  return rank_of(1, p.n, draw);
}
template <class Draw>
double serve(const order_statistic& p, Draw& draw, uniform_numbers&) {
  return rank_of(p.rank, p.n, draw);
}
template <class Draw>
double serve(const top_of& p, Draw& draw, uniform_numbers& random) {
  return rank_of(p.n - random.below(p.top), p.n, draw);
}
template <class Draw>
double serve(const best_of_random& p, Draw& draw, uniform_numbers& random) {
  double left = random();
  for (const auto& o : p.outcomes()) {
    left -= o.probability;
    if (left < 0) return largest_of(o.n, draw);
  }
  return largest_of(p.outcomes().back().n, draw);
}
template <class Draw>
double serve(const best_of_poisson& p, Draw& draw, uniform_numbers& random) {
  // Knuth's way: uniforms are multiplied until their product falls below e^-mean.
  index_t n = 1;
  for (double product = random(); product > std::exp(-p.mean); product *= random()) ++n;
  return largest_of(n, draw);
}
template <class Draw>
double serve(const median_of_three&, Draw& draw, uniform_numbers&) {
  return rank_of(2, 3, draw);
}

/// Wins of the policy over the base, a tie one half.
template <class Procedure, class BaseProcedure, class Policy, class Base>
double play(const Procedure& procedure, const BaseProcedure& base_procedure, Policy&& policy, Base&& base,
            uniform_numbers& random) {
  double wins = 0;
  for (int i = 0; i < games; ++i) {
    const double y = serve(procedure, policy, random);
    const double z = serve(base_procedure, base, random);
    wins += y > z ? 1.0 : y == z ? 0.5 : 0.0;
  }
  return wins / games;
}

double standard_error(double win_rate) {
  return std::sqrt(win_rate * (1 - win_rate) / games);  // a bound where there are ties
}

/// Calls `check` with every procedure for the policy, and another for the base.
template <class Check>
void for_each_pair(Check&& check) {
  const best_of_random random_number({{1, 0.25}, {3, 0.5}, {6, 0.25}});
  check(standard(), standard());
  check(best_of(4), best_of(4));
  check(worst_of(3), worst_of(3));
  check(order_statistic(2, 5), order_statistic(2, 5));
  check(top_of(2, 5), top_of(2, 5));
  check(random_number, random_number);
  check(best_of_poisson(2), best_of_poisson(2));
  check(median_of_three(), median_of_three());
  check(best_of(4), standard());
  check(top_of(3, 4), worst_of(2));
  check(best_of_poisson(1.5), order_statistic(1, 3));
  check(median_of_three(), random_number);
}

}  // namespace

TEST_CASE("continuous rewards, a policy tilted by the identity: the win rate's formula against literal play") {
  // f = e^{u/β}/Z on [0, 1], so F = (e^{u/β} - 1)/(e^{1/β} - 1), which is inverted to draw.
  const double beta = 0.4, scale = std::expm1(1 / beta);
  uniform_numbers random(11);
  const auto base = [&] { return random(); };
  const auto policy = [&] { return beta * std::log1p(random() * scale); };
  for_each_pair([&](const auto& procedure, const auto& base_procedure) {
    // W = ∫ G_base(u) dG_π(F(u)) by the trapezoidal rule for Stieltjes integrals, which errs by less than 1e-7 here.
    double expected = 0, served = 0, base_served = 0;
    constexpr int steps = 20'000;
    for (int i = 1; i <= steps; ++i) {
      const double u = static_cast<double>(i) / steps;
      const double next = procedure.distortion(std::min(1.0, std::expm1(u / beta) / scale));
      const double base_next = base_procedure.distortion(u);
      expected += (next - served) * (base_served + base_next) / 2;
      served = next;
      base_served = base_next;
    }
    CAPTURE(expected);
    CHECK(std::abs(play(procedure, base_procedure, policy, base, random) - expected) <= 4 * standard_error(expected));
  });
}

TEST_CASE("rewards with ties: tilted_win_rate against literal play") {
  const std::vector<double> rewards{0.1, 0.5, 0.5, 0.9, 0.2, 0.9, 0.9, 0.3, 0.2, 0.7, 0.1, 1.2};
  const double beta = 0.5;
  const auto n = static_cast<index_t>(rewards.size());
  std::vector<double> cumulative;
  double total = 0;
  for (const double r : rewards) cumulative.push_back(total += std::exp(r / beta));
  uniform_numbers random(12);
  const auto base = [&] { return rewards[static_cast<std::size_t>(random.below(n))]; };
  const auto policy = [&] {
    const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), random() * total) - cumulative.begin();
    return rewards[static_cast<std::size_t>(std::min<std::ptrdiff_t>(at, n - 1))];
  };
  for_each_pair([&](const auto& procedure, const auto& base_procedure) {
    infalign::simd on;
    double expected = 0;
    tilted_win_rate(on, infalign::rows<const double>(rewards.data(), 1, n), infalign::kl_weight(beta), procedure,
                    base_procedure, infalign::span<double>(&expected, 1), infalign::span<double>());
    CAPTURE(expected);
    CHECK(std::abs(play(procedure, base_procedure, policy, base, random) - expected) <= 4 * standard_error(expected));
  });
}

TEST_CASE("the estimate from samples of both policies against literal play") {
  // 2,000 prompts with 40 samples of either policy: normal rewards, the policy's shifted, rounded so that some tie.
  constexpr index_t prompts = 2000, m = 40;
  std::mt19937_64 generator(3);
  std::normal_distribution<double> normal;
  const auto base = [&] { return std::round(3 * normal(generator)) / 3; };
  const auto policy = [&] { return std::round(3 * (normal(generator) + 0.4)) / 3; };
  std::vector<double> y(prompts * m), z(prompts * m), wins(prompts);
  for (double& r : y) r = policy();
  for (double& r : z) r = base();
  uniform_numbers random(13);
  for_each_pair([&](const auto& procedure, const auto& base_procedure) {
    infalign::simd on;
    procedure_win_rate(on, infalign::rows<const double>(y.data(), prompts, m),
                       infalign::rows<const double>(z.data(), prompts, m), procedure, base_procedure, wins);
    const auto estimated = summarize(on, wins);
    const double played = play(procedure, base_procedure, policy, base, random);
    // Without `from_count` the share is plugged in: E[G(c/m)] - G(q) = G''·q(1-q)/(2m) + …, and |G''| <= 6 for the median of three
    // and for `best_of_poisson` with mean 2 (μ² + 2μ = 8 at q = 1, where q(1-q) is 0); for either side.
    constexpr double plug_in_bias = 6.0 / 4 / (2 * static_cast<double>(m));
    const auto bias = [](const auto& p) { return requires { p.from_count(1, 1); } ? 0.0 : plug_in_bias; };
    CAPTURE(played);
    CHECK(std::abs(estimated.value - played) <=
          bias(procedure) + bias(base_procedure) + 4 * std::hypot(estimated.standard_error, standard_error(played)));
  });
}

TEST_CASE("a prediction before training for a procedure that is only a distortion") {
  // Five reward levels; the optimum of identity at β = 0.3, drawn from its own probabilities, served by the median of three.
  const std::vector<double> q{0.3, 0.25, 0.2, 0.15, 0.1};
  const double beta = 0.3;
  std::vector<double> p;
  double below = 0;
  for (const double share : q) {
    p.push_back(share * std::exp((below + share / 2) / beta));
    below += share;
  }
  std::mt19937_64 generator(5);
  std::discrete_distribution<int> base_level(q.begin(), q.end()), policy_level(p.begin(), p.end());
  constexpr index_t prompts = 4000, k = 60;
  std::vector<double> rewards(prompts * k);
  for (double& r : rewards) r = base_level(generator);
  infalign::simd on;
  const auto predicted = evaluate_off_policy(on, infalign::rows<const double>(rewards.data(), prompts, k), infalign::identity(),
                                             infalign::kl_weight(beta), median_of_three(), best_of(2))
                             .inference_win_rate.corrected;
  uniform_numbers random(14);
  const double played = play(
      median_of_three(), best_of(2), [&] { return static_cast<double>(policy_level(generator)); },
      [&] { return static_cast<double>(base_level(generator)); }, random);
  CHECK(std::abs(predicted.value - played) <= 4 * std::hypot(predicted.standard_error, standard_error(played)));
}
