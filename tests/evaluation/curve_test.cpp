// SPDX-License-Identifier: Apache-2.0
/// \file
/// Curves over N against their definition: means over all subsets.
#include "infalign/evaluation/curve.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "evaluation/subset_pairs.hpp"
#include "evaluation/win_rates.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/hedge.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/statistics/choose_on_curve.hpp"
#include "support/configurations.hpp"

using infalign::curve_base;
using infalign::curve_of;
using infalign::index_t;
namespace test = infalign::test;
using test::groups;

namespace {

constexpr index_t steps = 5;

/// Proxy and true rewards of prompts with these many samples; few levels, so that both tie.
template <class T>
struct pairs {
  groups<T> proxy, truth;
  explicit pairs(const std::vector<index_t>& sizes)
      : proxy(test::tied_prompts<T>(sizes, 1, 4)), truth(test::tied_prompts<T>(sizes, 20, 3)) {}
};

/// What selecting by proxy is worth over all N-subsets: `value(subset, i)` of the sample that is served, tied ones sharing.
template <class T, class Value>
double by_subsets(const std::vector<T>& proxy, index_t n, const Value& value) {
  double sum = 0;
  int subsets = 0;
  for (unsigned mask = 0; mask < (1u << proxy.size()); ++mask) {
    if (std::popcount(mask) != n) continue;
    T best = -1;
    for (std::size_t i = 0; i < proxy.size(); ++i)
      if (mask >> i & 1u) best = proxy[i] > best ? proxy[i] : best;
    double served = 0;
    int ties = 0;
    for (std::size_t i = 0; i < proxy.size(); ++i)
      if ((mask >> i & 1u) && proxy[i] == best) served += value(mask, i), ++ties;
    sum += served / ties;
    ++subsets;
  }
  return sum / subsets;
}

template <class T>
double soft_by_subsets(const std::vector<T>& proxy, const std::vector<T>& truth, index_t n, double lambda) {
  double sum = 0;
  int subsets = 0;
  for (unsigned mask = 0; mask < (1u << proxy.size()); ++mask) {
    if (std::popcount(mask) != n) continue;
    double all = 0, gain = 0;
    for (std::size_t i = 0; i < proxy.size(); ++i)
      if (mask >> i & 1u) {
        const double weight = std::exp(static_cast<double>(proxy[i]) / lambda);
        all += weight;
        gain += weight * static_cast<double>(truth[i]);
      }
    sum += gain / all;
    ++subsets;
  }
  return sum / subsets;
}

}  // namespace

TEST_CASE_TEMPLATE("curves are means over all subsets for every N", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const bool dense : {false, true}) {
    const std::vector<index_t> sizes = dense ? std::vector<index_t>{7, 7, 7} : std::vector<index_t>{6, 9, 7};
    const auto prompts = static_cast<index_t>(sizes.size());
    const pairs<T> of(sizes);
    typename C::template array<T> v(test::packed(of.proxy)), t(test::packed(of.truth));
    typename C::template array<index_t> offsets(test::offsets(of.proxy));
    typename C::template array<double> out(prompts * steps, -1.0);
    const auto check = [&](double tolerance, const auto& expected) {
      const std::vector<double> found = out.host();
      for (index_t p = 0; p < prompts; ++p)
        for (index_t i = 0; i < steps; ++i) {
          CAPTURE(p);
          CAPTURE(i);
          CHECK(std::abs(found[static_cast<std::size_t>(p * steps + i)] - expected(static_cast<std::size_t>(p), i)) <=
                tolerance);
        }
    };
    const auto rows = out.rows(prompts, steps);
    for (const auto algorithm : test::both) {
      if (dense)
        proxy_reward_curve(on, v.rows(prompts, 7), t.rows(prompts, 7), rows, algorithm);
      else
        proxy_reward_curve(on, v.ragged(offsets), t.ragged(offsets), rows, algorithm);
      check(1e-14, [&](std::size_t p, index_t i) {
        return by_subsets(of.proxy[p], i + 1, [&](unsigned, std::size_t j) { return static_cast<double>(of.truth[p][j]); });
      });
      for (const auto served : {curve_of::best, curve_of::worst})
        for (const auto base : {curve_base::same, curve_base::one_sample}) {
          win_rate_curve(on, v.ragged(offsets), t.ragged(offsets), rows, served, base, algorithm);
          check(1e-14, [&](std::size_t p, index_t i) {
            const auto win_rate = [&](const auto& a, const auto& b) {
              return test::win_rate_by_subsets(of.proxy[p], of.truth[p], a, b);
            };
            const index_t n = i + 1;
            if (served == curve_of::best)
              return base == curve_base::same ? win_rate(infalign::best_of(n), infalign::best_of(n))
                                              : win_rate(infalign::best_of(n), infalign::standard());
            return base == curve_base::same ? win_rate(infalign::worst_of(n), infalign::worst_of(n))
                                            : win_rate(infalign::worst_of(n), infalign::standard());
          });
        }
    }
    expected_reward_curve(on, v.ragged(offsets), rows, curve_of::worst);
    check(1e-14, [&](std::size_t p, index_t i) {
      double sum = 0;
      const auto served = test::served_by_subsets(of.proxy[p], infalign::worst_of(i + 1));
      for (const T reward : served) sum += static_cast<double>(reward);
      return sum / static_cast<double>(served.size());
    });
    proxy_win_rate_curve(on, v.ragged(offsets), t.ragged(offsets), rows);
    check(1e-14, [&](std::size_t p, index_t i) {
      const auto& truth = of.truth[p];
      return by_subsets(of.proxy[p], i + 1, [&](unsigned mask, std::size_t j) {
        double wins = 0;
        int others = 0;
        for (std::size_t k = 0; k < truth.size(); ++k)
          if (!(mask >> k & 1u)) wins += truth[j] > truth[k] ? 1 : truth[j] == truth[k] ? 0.5 : 0, ++others;
        return wins / others;
      });
    });
    const std::vector<double> lambdas{0.1, 0.5, 1, 4, 100};
    for (const index_t n : {1, 3, 6}) {
      soft_best_of_curve(on, v.ragged(offsets), t.ragged(offsets), n, lambdas, rows);
      check(2e-9, [&](std::size_t p, index_t i) {
        return soft_by_subsets(of.proxy[p], of.truth[p], n, lambdas[static_cast<std::size_t>(i)]);
      });
    }
  }
}

TEST_CASE_TEMPLATE("best-of-Poisson mixes the curve, and more than its last N counts as the last", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const std::vector<double> curve{1, 2, 4, 1, 0, 3}, means{0, 0.5, 300};
  typename C::template array<double> values(curve), mu(means), out(6, -1.0);
  best_of_poisson_curve(on, infalign::rows<const double, typename C::backend::memory_space>(values.rows(2, 3)),
                        infalign::span<const double, typename C::backend::memory_space>(mu.span()), out.rows(2, 3));
  const std::vector<double> found = out.host();
  for (std::size_t p = 0; p < 2; ++p) {
    const double one = std::exp(-0.5), two = 0.5 * one;
    CHECK(found[3 * p] == curve[3 * p]);
    CHECK(std::abs(found[3 * p + 1] - (one * curve[3 * p] + two * curve[3 * p + 1] + (1 - one - two) * curve[3 * p + 2])) <=
          1e-14);
    CHECK(std::abs(found[3 * p + 2] - curve[3 * p + 2]) <= 1e-14);
  }
}

TEST_CASE_TEMPLATE("bad input of curves is refused before anything is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> v(std::vector<T>{1, 2, 3, 4}), bad(std::vector<T>{1, 2, T(NAN), 4});
  typename C::template array<double> out(8, -1.0);
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { expected_reward_curve(on, v.rows(2, 2), out.rows(2, 3)); }) ==
        "expected_reward_curve: rewards[0] has 2 values, fewer than the 3 of the last column of out");
  CHECK(message([&] { proxy_reward_curve(on, v.rows(2, 2), bad.rows(2, 2), out.rows(2, 2)); }) ==
        "proxy_reward_curve: true_rewards[1][0] is nan, must be finite");
  CHECK(message([&] { proxy_reward_curve(on, v.rows(2, 2), v.rows(1, 4), out.rows(2, 2)); }) ==
        "proxy_reward_curve: true_rewards has 1 groups, but proxy_rewards has 2");
  CHECK(message([&] { proxy_win_rate_curve(on, v.rows(2, 2), v.rows(2, 2), out.rows(2, 2)); }) ==
        "proxy_win_rate_curve: proxy_rewards[0] has 2 values, fewer than the 3 of the last column of out and its opponent");
  CHECK(message([&] { win_rate_curve(on, v.rows(1, 4), v.rows(1, 2), out.rows(1, 3)); }) ==
        "win_rate_curve: base_rewards[0] has 2 values, fewer than the 3 that are served of");
  const std::vector<double> lambdas{1, 0.001};
  CHECK(message([&] { soft_best_of_curve(on, v.rows(1, 4), v.rows(1, 4), 2, lambdas, out.rows(1, 2)); }) ==
        "soft_best_of_curve: lambdas[1] is 0.001, must be positive and at least a 500th of the largest range of a prompt's "
        "proxies, "
        "3");
  for (const double x : out.host()) CHECK(x == -1);
}

// Proxy u uniform, true reward 1 with probability g(u), HedgeTune's toy: the mean over prompts is n·c/((n+12)(n+13)).
TEST_CASE("over simulated data the curve is the closed one, and its best N is found") {
  std::mt19937_64 generator(5);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11) * 0x1.0p-53; };
  const double scale = 13 * std::pow(13.0 / 12, 12);
  const index_t prompts = 2000, m = 40, most = 30;
  std::vector<double> proxy, truth;
  for (index_t i = 0; i < prompts * m; ++i) {
    const double u = uniform();
    proxy.push_back(u);
    truth.push_back(uniform() < scale * std::pow(u, 12) * (1 - u) ? 1 : 0);
  }
  std::vector<double> curve(static_cast<std::size_t>(prompts * most));
  infalign::scalar on;
  proxy_reward_curve(on, infalign::rows<const double>(proxy.data(), prompts, m),
                     infalign::rows<const double>(truth.data(), prompts, m),
                     infalign::rows<double>(curve.data(), prompts, most));
  const auto choice =
      infalign::choose_on_curve(infalign::rows<const double>(curve.data(), prompts, most), 0.95, infalign::win_rate_range);
  for (index_t n = 1; n <= most; ++n) {
    const infalign::estimate& at = choice.curve[static_cast<std::size_t>(n - 1)];
    const auto x = static_cast<double>(n);
    CHECK(std::abs(at.value - scale * x / (x + 12) / (x + 13)) <= 4 * at.standard_error);
  }
  CHECK(choice.first + 1 <= 12);
  CHECK(choice.last + 1 >= 12);
  CHECK(choice.first > 0);
  CHECK(choice.last < most - 1);
}

TEST_CASE("a table of a curve owns a register behind its end, which a tail may load") {
  infalign::scalar on;
  auto frame = on.scratch();
  const auto table = infalign::detail::make_curve_table(on, frame, "curve_test", "rewards", {7, 7}, 4);
  double* const next = frame.template take<double>(1);
  const double* const end = table.of(8);
  CHECK((next < table.values || next >= end + infalign::detail::read_on));
  *next = 0;
  for (index_t i = 0; i < infalign::detail::read_on; ++i) CHECK(end[i] == 1);
}

TEST_CASE("the set of steps holds the best one in 95 % of data sets, and one step or one prompt is no choice") {
  std::mt19937_64 generator(6);
  std::normal_distribution<double> normal;
  int held = 0;
  constexpr int data_sets = 400;
  for (int r = 0; r < data_sets; ++r) {
    std::vector<double> curve;
    for (int p = 0; p < 40; ++p) {
      const double common = normal(generator);
      for (int i = 0; i < 6; ++i) curve.push_back(common + normal(generator) - 0.1 * (i - 2) * (i - 2));
    }
    const auto choice = infalign::choose_on_curve(infalign::rows<const double>(curve.data(), 40, 6));
    for (const index_t i : choice.candidates) held += i == 2 ? 1 : 0;
  }
  CHECK(held >= data_sets * 0.95 - 3 * std::sqrt(0.95 * 0.05 * data_sets));
  // Bonferroni: with one other step 0.05 is spent on it, with two 0.025 on each. One-sided quantiles of Student's t with 10 degrees of
  // freedom (scipy.stats.t.ppf): 1.8125 and 2.2281.
  const auto candidates = [](double t, index_t count) {
    std::vector<double> curve;
    for (int p = 0; p < 11; ++p) {
      const double noise = (p - 5) / std::sqrt(11.0);  // standard deviation √11/√11, so a standard error of 1/√11
      const double row[] = {t / std::sqrt(11.0) + noise, 0, -100};
      curve.insert(curve.end(), row, row + count);
    }
    return infalign::choose_on_curve(infalign::rows<const double>(curve.data(), 11, count)).candidates.size();
  };
  CHECK(candidates(1.80, 2) == 2);
  CHECK(candidates(1.82, 2) == 1);
  CHECK(candidates(2.22, 3) == 2);
  CHECK(candidates(2.24, 3) == 1);
  const std::vector<double> flat{1, 1, 1};
  CHECK(infalign::choose_on_curve(infalign::rows<const double>(flat.data(), 1, 3)).candidates.size() == 3);
  CHECK(infalign::choose_on_curve(infalign::rows<const double>(flat.data(), 3, 1)).candidates.size() == 1);
  CHECK_THROWS_AS(infalign::choose_on_curve(infalign::rows<const double>(flat.data(), 0, 3)), infalign::shape_error);
  CHECK_THROWS_AS(infalign::choose_on_curve(infalign::rows<const double>(flat.data(), 3, 1), 1.0), infalign::domain_error);
}
