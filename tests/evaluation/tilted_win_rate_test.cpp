// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/tilted_win_rate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"
#include "theory/tradeoff.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::kl_weight;
using infalign::standard;
using infalign::tilted_win_rate;
using infalign::worst_of;
namespace test = infalign::test;

namespace {

struct tradeoff_point {
  double win_rate;
  double kl;
};

/// The optimum by its definition, from all pairs: `W = Σ_ij s_i·t_j·[1{r_i > r_j} + ½·1{r_i = r_j}]` with the probabilities `s`
/// and `t` that a distinct value is served, for the policy and for the base.
template <class T, class Procedure, class BaseProcedure>
tradeoff_point by_definition(const std::vector<T>& rewards, long double beta, const Procedure& procedure,
                             const BaseProcedure& base_procedure) {
  const auto n = static_cast<long double>(rewards.size());
  const auto top = static_cast<long double>(*std::max_element(rewards.begin(), rewards.end()));
  std::vector<long double> p;
  for (const T r : rewards) p.push_back(std::exp((static_cast<long double>(r) - top) / beta));
  const long double sum = std::accumulate(p.begin(), p.end(), 0.0L);
  long double kl = 0;
  for (long double& share : p) {
    share /= sum;
    if (share > 0) kl += share * std::log(n * share);
  }
  std::vector<T> values = rewards;
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  const auto served = [&](const auto& by, bool policy, T value) {
    long double below = 0, at_or_below = 0;
    for (std::size_t i = 0; i < rewards.size(); ++i) {
      const long double share = policy ? p[i] : 1 / n;
      below += rewards[i] < value ? share : 0.0L;
      at_or_below += rewards[i] <= value ? share : 0.0L;
    }
    const auto distortion = [&](long double q) { return by.distortion(std::min(1.0, static_cast<double>(q))); };
    return distortion(at_or_below) - distortion(below);
  };
  double win_rate = 0;
  for (const T y : values)
    for (const T z : values)
      win_rate += served(procedure, true, y) * served(base_procedure, false, z) * (y > z ? 1.0 : y == z ? 0.5 : 0.0);
  return {win_rate, static_cast<double>(kl)};
}

template <class C, class Procedure, class BaseProcedure>
tradeoff_point tilted(const std::vector<typename C::value>& rewards, double beta, const Procedure& procedure,
                      const BaseProcedure& base_procedure) {
  typename C::backend on = C::make_backend();
  typename C::template array<typename C::value> r(rewards);
  typename C::template array<double> win_rate(1, -1.0), kl(1, -1.0);
  tilted_win_rate(on, r.rows(1, static_cast<index_t>(rewards.size())), kl_weight(beta), procedure, base_procedure,
                  win_rate.span(), kl.span());
  return {win_rate.host()[0], kl.host()[0]};
}

/// `Φ` at the K mid-ranks (i+½)/K, which a base sample with a continuous reward has in the limit, in a shuffled order.
template <class T, class Phi>
std::vector<T> at_mid_ranks(index_t k, const Phi& phi) {
  std::vector<T> rewards(static_cast<std::size_t>(k));
  for (index_t i = 0; i < k; ++i)
    rewards[static_cast<std::size_t>(i * 7919 % k)] =
        static_cast<T>(phi((static_cast<double>(i) + 0.5) / static_cast<double>(k)));
  return rewards;
}

}  // namespace

TEST_CASE_TEMPLATE("win rate and KL equal their definition, with ties", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t k : {1, 2, 3, 8, 17, 60})
    for (const int levels : {1, 4, 1000})
      for (const double beta : {0.05, 1.0, 30.0}) {
        CAPTURE(k);
        CAPTURE(levels);
        CAPTURE(beta);
        std::vector<T> rewards = test::tied_values<T>(k, static_cast<std::uint64_t>(k), levels);
        if (levels == 1000) rewards = test::normal_values<T>(k, static_cast<std::uint64_t>(k));
        const auto check = [&](const auto& procedure, const auto& base_procedure) {
          const auto expected = by_definition(rewards, beta, procedure, base_procedure);
          const auto actual = tilted<C>(rewards, beta, procedure, base_procedure);
          CHECK(std::abs(actual.win_rate - expected.win_rate) <= 1e-13);
          CHECK(std::abs(actual.kl - expected.kl) <= 1e-13 * (1 + expected.kl));
        };
        check(standard{}, standard{});
        check(best_of(4), best_of(4));
        check(worst_of(3), worst_of(3));
        check(best_of(4), standard{});
        check(standard{}, worst_of(2));
      }
}

TEST_CASE_TEMPLATE("the logarithm gives the best-of-n policy", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // β = 1/(n-1): f = n·u^{n-1}, KL = log n - (n-1)/n, W = n/(n+1), and the same W with the best of N on both sides.
  for (const index_t k : {1000, 20'000})
    for (const double n : {2.0, 4.0}) {
      const auto rewards = at_mid_ranks<T>(k, [](double u) { return std::log(u); });
      const double beta = 1 / (n - 1);
      // The midpoint rule is off by less than (n/K)²; rewards rounded to float move the exponents by up to 10·2⁻²⁴·(n-1).
      const double steps = n / static_cast<double>(k);
      const double allowed = steps * steps + 5 * n * static_cast<double>(std::numeric_limits<T>::epsilon());
      CHECK(std::abs(tilted<C>(rewards, beta, standard{}, standard{}).kl - (std::log(n) - (n - 1) / n)) <= allowed);
      CHECK(std::abs(tilted<C>(rewards, beta, standard{}, standard{}).win_rate - n / (n + 1)) <= allowed);
      CHECK(std::abs(tilted<C>(rewards, beta, best_of(3), best_of(3)).win_rate - n / (n + 1)) <= allowed);
      // Against one sample of the base: F = u^{n·N}, W = 1 - 1/(n·N + 1).
      CHECK(std::abs(tilted<C>(rewards, beta, best_of(3), standard{}).win_rate - (1 - 1 / (3 * n + 1))) <= allowed);
    }
}

TEST_CASE_TEMPLATE("the identity gives a truncated exponential", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const double beta : {0.1, 0.5, 2.0}) {
    const auto rewards = at_mid_ranks<T>(20'000, [](double u) { return u; });
    // f = e^{u/β}/Z, Z = β·(e^{1/β} - 1), E u = (1·e^{1/β} - Z)/(e^{1/β} - 1) = 1/(1 - e^{-1/β}) - β.
    const double mean = 1 / -std::expm1(-1 / beta) - beta;
    const double log_z = std::log(beta) + 1 / beta + std::log1p(-std::exp(-1 / beta));
    const auto actual = tilted<C>(rewards, beta, standard{}, standard{});
    // The midpoint rule for u times a density whose logarithm has slope 1/β; rewards rounded to float.
    const double steps = (1 + 1 / beta) / 20'000;
    const double allowed = steps * steps / 8 + static_cast<double>(std::numeric_limits<T>::epsilon()) / beta;
    CHECK(std::abs(actual.win_rate - mean) <= allowed);
    CHECK(std::abs(actual.kl - (mean / beta - log_z)) <= allowed);
  }
}

TEST_CASE_TEMPLATE("the tradeoff equals that of independent quadrature", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t k = 20'000;
  for (const auto& row : test::tradeoff) {
    CAPTURE(row.procedure);
    CAPTURE(row.n);
    CAPTURE(row.exponent);
    CAPTURE(row.kl);
    const double t = row.exponent;
    const auto rewards = at_mid_ranks<T>(k, [t](double u) { return t == 0 ? u : (t > 0 ? 1.0 : -1.0) * std::exp(t * u); });
    row.with_procedure([&](const auto& procedure) {
      const auto served = tilted<C>(rewards, row.beta, procedure, procedure);
      const auto plain = tilted<C>(rewards, row.beta, standard{}, standard{});
      // The midpoint rule, (slope/K)²/24: where these densities have mass, the slope of their logarithm is below 80. Rewards
      // rounded to float.
      const double largest = std::abs(static_cast<double>(
          *std::max_element(rewards.begin(), rewards.end(), [](T a, T b) { return std::abs(a) < std::abs(b); })));
      const double rounding = static_cast<double>(std::numeric_limits<T>::epsilon()) * largest / row.beta;
      CHECK(std::abs(served.win_rate - row.inference_win_rate) <= 7e-7 + rounding);
      CHECK(std::abs(plain.win_rate - row.standard_win_rate) <= 7e-7 + rounding);
      CHECK(std::abs(plain.kl - row.kl) <= 7e-7 + rounding);
    });
  }
}

TEST_CASE_TEMPLATE("a large beta leaves the base as it is, a small one takes its best", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const std::vector<T> rewards{3, -1, 2, 3, 0};
  for (const double beta : {1e12, 1e300}) {
    const auto base = tilted<C>(rewards, beta, best_of(2), best_of(2));
    CHECK(base.win_rate == doctest::Approx(0.5).epsilon(1e-11));
    CHECK(std::abs(base.kl) <= 1e-11);
  }
  for (const double beta : {1e-3, 1e-30, 1e-310}) {
    // All mass on the two that tie for the best: KL = log(5/2); a win over three, a tie with two.
    const auto best = tilted<C>(rewards, beta, standard{}, standard{});
    CHECK(best.win_rate == doctest::Approx(0.8).epsilon(1e-14));
    CHECK(best.kl == doctest::Approx(std::log(2.5)).epsilon(1e-14));
  }
  // Rewards far from 0 and far apart.
  const T far = std::numeric_limits<T>::max() / 4;
  const auto extreme = tilted<C>({-far, far}, 1.0, standard{}, standard{});
  CHECK(extreme.win_rate == doctest::Approx(0.75).epsilon(1e-14));
  CHECK(extreme.kl == doctest::Approx(std::log(2.0)).epsilon(1e-14));
}

TEST_CASE_TEMPLATE("equal rewards change nothing", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t k : {1, 7, 100}) {
    const auto point = tilted<C>(std::vector<T>(static_cast<std::size_t>(k), T(2)), 0.1, best_of(4), best_of(4));
    CHECK(point.win_rate == doctest::Approx(0.5).epsilon(1e-15));
    CHECK(std::abs(point.kl) <= 1e-15);
  }
}

TEST_CASE_TEMPLATE("dense, padded and ragged prompts, with and without KL", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto values = test::normal_values<T>(24, 4);
  typename C::template array<T> r(values);
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 8, 9, 24});
  typename C::template array<double> win_rate(3, -1.0), kl(3, -1.0), alone(3, -1.0), none;
  const auto check = [&](index_t prompt, index_t begin, index_t end) {
    const std::vector<T> group(values.begin() + begin, values.begin() + end);
    const auto expected = by_definition(group, 0.5L, best_of(2), best_of(2));
    CHECK(win_rate.host()[static_cast<std::size_t>(prompt)] == doctest::Approx(expected.win_rate).epsilon(1e-13));
    CHECK(kl.host()[static_cast<std::size_t>(prompt)] == doctest::Approx(expected.kl).epsilon(1e-13));
  };
  tilted_win_rate(on, r.ragged(offsets), kl_weight(0.5), best_of(2), best_of(2), win_rate.span(), kl.span());
  check(0, 0, 8);
  check(1, 8, 9);
  check(2, 9, 24);
  tilted_win_rate(on, r.rows(3, 6, 8), kl_weight(0.5), best_of(2), best_of(2), win_rate.span(), kl.span());
  for (index_t p = 0; p < 3; ++p) check(p, 8 * p, 8 * p + 6);
  tilted_win_rate(on, r.rows(3, 6, 8), kl_weight(0.5), best_of(2), best_of(2), alone.span(), none.span());
  CHECK(alone.host() == win_rate.host());
  CHECK_NOTHROW(tilted_win_rate(on, r.rows(0, 6), kl_weight(0.5), best_of(2), best_of(2), none.span(), none.span()));
}

TEST_CASE_TEMPLATE("bad input is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  auto values = test::normal_values<T>(6, 4);
  typename C::template array<T> r(values);
  typename C::template array<index_t> with_empty(std::vector<index_t>{0, 6, 6});
  typename C::template array<double> win_rate(2, -7.0), kl(2, -7.0), three(3, -7.0);
  const auto call = [&](const auto& rewards, double beta, const auto& wins, const auto& divergence) {
    return test::message_of<infalign::error>(
        [&] { tilted_win_rate(on, rewards, kl_weight(beta), standard{}, standard{}, wins, divergence); });
  };
  CHECK(call(r.rows(2, 3), 0, win_rate.span(), kl.span()) == "tilted_win_rate: beta is 0, must be positive");
  CHECK(call(r.rows(2, 3), -1, win_rate.span(), kl.span()) == "kl_weight: beta is -1, must be finite and not negative");
  CHECK(call(r.ragged(with_empty), 1, win_rate.span(), kl.span()) ==
        "tilted_win_rate: rewards[1] has 0 values, a policy needs at least one");
  CHECK(call(r.rows(2, 3), 1, three.span(), kl.span()) == "tilted_win_rate: win_rate has 3 values, but rewards has 2 groups");
  CHECK(call(r.rows(2, 3), 1, win_rate.span(), three.span()) == "tilted_win_rate: kl has 3 values, but rewards has 2 groups");
  values[5] = std::numeric_limits<T>::infinity();
  typename C::template array<T> bad(values);
  CHECK(call(bad.rows(2, 3), 1, win_rate.span(), kl.span()) == "tilted_win_rate: rewards[1][2] is inf, must be finite");
  CHECK(win_rate.host() == std::vector<double>(2, -7.0));
  CHECK(kl.host() == std::vector<double>(2, -7.0));
  CHECK(three.host() == std::vector<double>(3, -7.0));
}
