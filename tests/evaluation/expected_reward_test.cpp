// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/expected_reward.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <vector>

#include "evaluation/subset_pairs.hpp"
#include "evaluation/win_rates.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "support/configurations.hpp"

using infalign::best_of;
using infalign::expected_reward;
using infalign::index_t;
using infalign::pass_at_k;
using infalign::rank_algorithm;
using infalign::standard;
using infalign::worst_of;
namespace test = infalign::test;
using test::groups;

namespace {

template <class C, class Procedure>
std::vector<double> of_ragged(const groups<typename C::value>& rewards, const Procedure& procedure, rank_algorithm algorithm) {
  typename C::backend on = C::make_backend();
  typename C::template array<typename C::value> y(test::packed(rewards));
  typename C::template array<index_t> offsets(test::offsets(rewards));
  typename C::template array<double> out(static_cast<index_t>(rewards.size()), -1.0);
  expected_reward(on, y.ragged(offsets), procedure, out.span(), algorithm);
  return out.host();
}

template <class C, class Procedure>
std::vector<double> of_rows(const groups<typename C::value>& rewards, const Procedure& procedure, rank_algorithm algorithm) {
  typename C::backend on = C::make_backend();
  const auto prompts = static_cast<index_t>(rewards.size());
  typename C::template array<typename C::value> y(test::packed(rewards));
  typename C::template array<double> out(prompts, -1.0);
  expected_reward(on, y.rows(prompts, static_cast<index_t>(rewards[0].size())), procedure, out.span(), algorithm);
  return out.host();
}

template <class T, class Procedure>
double by_subsets(const std::vector<T>& samples, const Procedure& procedure) {
  double sum = 0;
  const auto served = test::served_by_subsets(samples, procedure);
  for (const T reward : served) sum += static_cast<double>(reward);
  return sum / static_cast<double>(served.size());
}

}  // namespace

TEST_CASE_TEMPLATE("the expected reward is the mean over all subsets", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Few levels, so that samples tie; a minus, so that some rewards are negative.
  groups<T> rewards = test::tied_prompts<T>({4, 7, 8, 11, 5}, 3, 6);
  for (auto& prompt : rewards)
    for (T& reward : prompt) reward = T(2) - reward;
  const auto check = [&](const auto& procedure) {
    for (const auto algorithm : test::both) {
      const std::vector<double> found = of_ragged<C>(rewards, procedure, algorithm);
      for (std::size_t p = 0; p < rewards.size(); ++p)
        CHECK(std::abs(found[p] - by_subsets(rewards[p], procedure)) <= 11 * 6 * 1.2e-16 * 4);
    }
  };
  check(standard{});
  for (const index_t n : {1, 2, 3, 4}) check(best_of(n)), check(worst_of(n));
}

TEST_CASE_TEMPLATE("both algorithms agree on expected rewards, dense and ragged, around the register widths", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t m : {2, 3, 4, 5, 15, 16, 17, 33, 100, 1000}) {
    const groups<T> rewards = test::tied_prompts<T>({m, m, m}, 10, 12);
    const auto counting = of_rows<C>(rewards, best_of(2), rank_algorithm::counting);
    const auto sorting = of_rows<C>(rewards, best_of(2), rank_algorithm::sorting);
    const auto automatic = of_rows<C>(rewards, best_of(2), rank_algorithm::automatic);
    const auto ragged = of_ragged<C>(rewards, best_of(2), rank_algorithm::counting);
    for (std::size_t p = 0; p < 3; ++p) {
      const double rounding = 12 * 2.3e-16 * static_cast<double>(m);
      CHECK(std::abs(counting[p] - sorting[p]) <= rounding);
      CHECK(std::abs(counting[p] - automatic[p]) <= rounding);
      CHECK(counting[p] == ragged[p]);
    }
  }
}

// verl 1320 asks for the mean of best@N: the expected largest of N of these four.
TEST_CASE_TEMPLATE("expected best of four rewards", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> rewards{{T(0.1), T(0.4), T(0.4), T(0.9)}};
  const double unit = std::numeric_limits<T>::epsilon();
  for (const auto algorithm : test::both) {
    CHECK(std::abs(of_ragged<C>(rewards, standard{}, algorithm)[0] - 0.45) <= unit);
    CHECK(std::abs(of_ragged<C>(rewards, best_of(2), algorithm)[0] - 0.65) <= unit);
    CHECK(std::abs(of_ragged<C>(rewards, best_of(4), algorithm)[0] - 0.9) <= unit);
    CHECK(std::abs(of_ragged<C>(rewards, worst_of(2), algorithm)[0] - 0.25) <= unit);
  }
}

TEST_CASE_TEMPLATE("pass@k is the expected best of k rewards 0 and 1, and all of k the expected worst", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t m : {1, 5, 10, 64}) {
    for (index_t passed = 0; passed <= m; passed += m > 10 ? 7 : 1) {
      std::vector<T> rewards(static_cast<std::size_t>(m), T(0));
      for (index_t i = 0; i < passed; ++i) rewards[static_cast<std::size_t>((7 * i) % m)] = T(1);
      index_t set = 0;
      for (const T reward : rewards) set += reward > T(0) ? 1 : 0;
      for (index_t k = 1; k <= m; k += m > 10 ? 9 : 1) {
        const double best = of_ragged<C>({rewards}, best_of(k), rank_algorithm::automatic)[0];
        const double worst = of_ragged<C>({rewards}, worst_of(k), rank_algorithm::automatic)[0];
        CHECK(std::abs(best - pass_at_k(m, set, k)) <= 2.3e-16 * static_cast<double>(m + 2));
        CHECK(std::abs(worst - (1 - pass_at_k(m, m - set, k))) <= 2.3e-16 * static_cast<double>(m + 2));
      }
    }
  }
}

TEST_CASE("pass@k of published counts, as exact fractions") {
  CHECK(std::abs(pass_at_k(10, 3, 5) - 231.0 / 252) <= 1e-15);
  CHECK(std::abs(pass_at_k(10, 1, 1) - 0.1) <= 1e-15);
  CHECK(pass_at_k(10, 0, 10) == 0);
  CHECK(pass_at_k(10, 6, 5) == 1);
  CHECK(std::abs(pass_at_k(200, 1, 100) - 0.5) <= 1e-14);
  // 1 - binom(190,100)/binom(200,100) = 1 - Π_{i<10} (100 - i)/(200 - i)
  double missed = 1;
  for (int i = 0; i < 10; ++i) missed *= (100.0 - i) / (200.0 - i);
  CHECK(std::abs(pass_at_k(200, 10, 100) - (1 - missed)) <= 1e-14);
  CHECK(std::abs(pass_at_k(1'000'000'000, 1, 1) - 1e-9) <= 1e-16);
}

TEST_CASE_TEMPLATE("a procedure of ranks, a shifted reward, one prompt, none", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> rewards{{T(3), T(1), T(2), T(5), T(4)}};
  // The second smallest of three of 1 … 5: 2·3 + 3·4 + 4·3 of ten.
  CHECK(std::abs(of_ragged<C>(rewards, infalign::order_statistic(2, 3), rank_algorithm::counting)[0] - 3) <= 1e-14);
  groups<T> shifted = rewards;
  for (T& reward : shifted[0]) reward += T(1e6);
  CHECK(std::abs(of_ragged<C>(shifted, best_of(2), rank_algorithm::sorting)[0] - (1e6 + 4)) <= 1e-8);
  CHECK(of_ragged<C>({}, best_of(2), rank_algorithm::automatic).empty());
}

TEST_CASE_TEMPLATE("bad input of expected rewards is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> rewards(std::vector<T>{T(1), T(2), T(3), std::numeric_limits<T>::quiet_NaN()});
  typename C::template array<double> out(2, -1.0), three(3, -1.0);
  const auto message = [&](const auto& groups, const best_of& procedure, const auto& into) {
    return test::message_of<infalign::error>([&] { expected_reward(on, groups, procedure, into); });
  };
  CHECK(message(rewards.rows(2, 2), best_of(2), out.span()) == "expected_reward: rewards[1][1] is nan, must be finite");
  CHECK(message(rewards.rows(2, 2), best_of(3), out.span()) ==
        "expected_reward: rewards[0] has 2 values, fewer than the 3 that its procedure draws");
  CHECK(message(rewards.rows(2, 2), best_of(2), three.span()) == "expected_reward: out has 3 values, but rewards has 2 groups");
  if constexpr (std::same_as<T, double>)
    CHECK(message(rewards.rows(2, 2), best_of(2),
                  infalign::span<T, typename C::backend::memory_space>(rewards.span().data(), 2)) ==
          "expected_reward: out overlaps rewards");
  CHECK(out.host() == std::vector<double>{-1, -1});
}

TEST_CASE("bad counts of pass@k are named") {
  const auto message = [](index_t samples, index_t successes, index_t k) {
    return test::message_of<infalign::domain_error>([&] { (void)pass_at_k(samples, successes, k); });
  };
  CHECK(message(10, 3, 0) == "pass_at_k: k is 0, must be at least 1");
  CHECK(message(4, 3, 5) == "pass_at_k: samples is 4, fewer than k = 5");
  CHECK(message(4, 5, 2) == "pass_at_k: successes is 5, must be in 0 … samples = 4");
  CHECK(message(4, -1, 2) == "pass_at_k: successes is -1, must be in 0 … samples = 4");
}
