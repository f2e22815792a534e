// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/procedure_win_rate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "evaluation/win_rates.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::procedure_win_rate;
using infalign::standard;
using infalign::worst_of;
namespace test = infalign::test;
using test::both;
using test::for_each_pair_of_procedures;
using test::groups;
using test::ragged_win_rate;
using test::tied_prompts;

TEST_CASE_TEMPLATE("the worst of negated rewards is the mirror of the best", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> policy = tied_prompts<T>({8, 20, 33}, 1, 6);
  const groups<T> base = tied_prompts<T>({9, 12, 40}, 7, 6);
  groups<T> negated_policy = policy, negated_base = base;
  for (auto* prompts : {&negated_policy, &negated_base})
    for (auto& p : *prompts)
      for (T& v : p) v = -v;
  for (const index_t n : {1, 2, 5, 8})
    for (const auto algorithm : both) {
      const auto best = ragged_win_rate<C>(policy, base, best_of(n), best_of(n), algorithm);
      const auto worst = ragged_win_rate<C>(negated_policy, negated_base, worst_of(n), worst_of(n), algorithm);
      for (std::size_t p = 0; p < policy.size(); ++p) CHECK(std::abs(best[p] - (1 - worst[p])) <= 1e-14);
    }
}

TEST_CASE_TEMPLATE("a policy against its own samples wins half the time", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const int levels : {1, 3, 1'000'000}) {
    const groups<T> prompts = tied_prompts<T>({6, 19, 64}, 3, levels);
    for_each_pair_of_procedures([&](const auto& procedure, const auto&) {
      for (const auto algorithm : both)
        for (const double w : ragged_win_rate<C>(prompts, prompts, procedure, procedure, algorithm))
          CHECK(std::abs(w - 0.5) <= 1e-14);
    });
  }
}

// A published pitfall: ties counted as losses. Of a policy against itself a third ties on three levels, and it seems to lose.
TEST_CASE_TEMPLATE("ties as losses take half of the ties from a win rate", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> prompt{{0, 0, 1, 1, 2, 2}};
  for (const auto algorithm : both)
    CHECK(ragged_win_rate<C>(prompt, prompt, standard{}, standard{}, algorithm)[0] == doctest::Approx(0.5).epsilon(1e-15));
  double won = 0, tied = 0;
  for (const T y : prompt[0])
    for (const T z : prompt[0]) won += y > z ? 1.0 / 36 : 0, tied += y == z ? 1.0 / 36 : 0;
  CHECK(won == doctest::Approx(1.0 / 3).epsilon(1e-14));
  CHECK(won + tied / 2 == doctest::Approx(0.5).epsilon(1e-14));
}

TEST_CASE_TEMPLATE("separated samples win always or never, for any procedure", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> low{{-3, -1, -2, -1, -5}};
  const groups<T> high{{4, 1, 9, 1}};
  for_each_pair_of_procedures([&](const auto& procedure, const auto& base_procedure) {
    for (const auto algorithm : both) {
      CHECK(ragged_win_rate<C>(high, low, procedure, base_procedure, algorithm)[0] == doctest::Approx(1.0).epsilon(1e-15));
      CHECK(ragged_win_rate<C>(low, high, procedure, base_procedure, algorithm)[0] == 0.0);
    }
  });
}

TEST_CASE_TEMPLATE("the win rate depends on the order of the rewards alone", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> policy = tied_prompts<T>({8, 21}, 1, 9);
  const groups<T> base = tied_prompts<T>({12, 17}, 5, 9);
  const auto mapped = [](groups<T> prompts, T scale, T shift) {
    for (auto& p : prompts)
      for (T& v : p) v = (v - 4) * (v - 4) * (v - 4) * scale + shift;
    return prompts;
  };
  for (const auto algorithm : both) {
    const auto plain = ragged_win_rate<C>(policy, base, best_of(3), best_of(3), algorithm);
    for (const auto& [scale, shift] : {std::pair(T(1e-30), T(0)), std::pair(T(1e30), T(-7)), std::pair(T(2), T(-1000))})
      CHECK(test::same_bits(plain, ragged_win_rate<C>(mapped(policy, scale, shift), mapped(base, scale, shift), best_of(3),
                                                      best_of(3), algorithm)));
  }
}

TEST_CASE_TEMPLATE("the statistic is unbiased for the closed form", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  // Under Φ = log u with β = 1/(n-1) the policy is the best of n of the base: F(u) = uⁿ. With the best of N on both sides
  // W = 1 - ∫ u^{nN}·N·u^{N-1} du = n/(n+1). With the worst of 2 and n = 2, W = ∫ 2·(1-u²)²·(1-u) du = 11/15.
  const index_t prompts = test::draws(20'000), m = 5, k = 4;
  const double n = 2;
  std::mt19937_64 generator(9);
  std::uniform_real_distribution<double> uniform;
  std::vector<T> policy(static_cast<std::size_t>(prompts * m)), base(static_cast<std::size_t>(prompts * k));
  for (T& y : policy) y = static_cast<T>(std::pow(uniform(generator), 1 / n));
  for (T& z : base) z = static_cast<T>(uniform(generator));
  typename C::template array<T> y(policy), z(base);
  typename C::template array<double> out(prompts, -1.0);
  const auto check = [&](const auto& procedure, double expected) {
    procedure_win_rate(on, y.rows(prompts, m), z.rows(prompts, k), procedure, out.span());
    const auto values = out.host();
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(prompts);
    double squares = 0;
    for (const double w : values) squares += (w - mean) * (w - mean);
    CHECK(std::abs(mean - expected) <= 4 * std::sqrt(squares) / static_cast<double>(prompts));
  };
  check(standard{}, n / (n + 1));
  for (const index_t samples : {1, 2, 4}) check(best_of(samples), n / (n + 1));
  check(worst_of(2), 11.0 / 15);
}
