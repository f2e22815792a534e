// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/off_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <type_traits>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "infalign/evaluation/tilted_win_rate.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/best_of_random.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/top_of.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "infalign/statistics/summarize.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "infalign/transform/logarithm.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "infalign/transform/power.hpp"
#include "infalign/transform/tabulated.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"
#include "theory/tradeoff.hpp"

using infalign::best_of;
using infalign::evaluate_off_policy;
using infalign::exponential;
using infalign::identity;
using infalign::index_t;
using infalign::kl_weight;
using infalign::off_policy_evaluation;
using infalign::standard;
using infalign::worst_of;
namespace test = infalign::test;

namespace {

struct values {
  double kl = 0;
  double standard_win_rate = 0;
  double inference_win_rate = 0;
};

values corrected(const off_policy_evaluation& e) {
  return {e.kl.corrected.value, e.standard_win_rate.corrected.value, e.inference_win_rate.corrected.value};
}
values plug_in(const off_policy_evaluation& e) {
  return {e.kl.plug_in.value, e.standard_win_rate.plug_in.value, e.inference_win_rate.plug_in.value};
}
double distance(const values& a, const values& b) {
  return std::max({std::abs(a.kl - b.kl), std::abs(a.standard_win_rate - b.standard_win_rate),
                   std::abs(a.inference_win_rate - b.inference_win_rate)});
}
values sum(const values& a, double factor, const values& b) {
  return {a.kl + factor * b.kl, a.standard_win_rate + factor * b.standard_win_rate,
          a.inference_win_rate + factor * b.inference_win_rate};
}

/// A procedure with nothing but what is required.
struct cubed {
  [[nodiscard]] INFALIGN_HD static double distortion(double q) { return q * q * q; }
};

/// The finite base policy of the samples of one prompt: `objective` is what is maximised.
template <class Procedure>
values finite_base(const std::vector<double>& objective, double beta, const Procedure& procedure) {
  infalign::scalar on;
  values v;
  const infalign::rows<const double> r(objective.data(), 1, static_cast<index_t>(objective.size()));
  const infalign::span<double> kl(&v.kl, 1), standard_win_rate(&v.standard_win_rate, 1), win_rate(&v.inference_win_rate, 1);
  tilted_win_rate(on, r, kl_weight(beta), standard(), standard(), standard_win_rate, kl);
  tilted_win_rate(on, r, kl_weight(beta), procedure, procedure, win_rate, infalign::span<double>());
  return v;
}

/// The rewards calibrated against themselves and transformed.
template <class Transform>
std::vector<double> objective_of(const std::vector<double>& rewards, const Transform& transform) {
  infalign::scalar on;
  std::vector<double> out(rewards.size());
  const auto n = static_cast<index_t>(rewards.size());
  const infalign::rows<const double> r(rewards.data(), 1, n);
  calibrate_transform(on, r, r, transform, infalign::rows<double>(out.data(), 1, n));
  return out;
}

/// `K·θ - (K-1)·mean θ` without each sample in turn, by its definition.
template <class Objective, class Procedure>
values jackknife(const std::vector<double>& rewards, double beta, const Procedure& procedure, const Objective& objective) {
  const auto k = static_cast<double>(rewards.size());
  values result = sum({}, k, finite_base(objective(rewards), beta, procedure));
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    std::vector<double> others = rewards;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    result = sum(result, -(k - 1) / k, finite_base(objective(others), beta, procedure));
  }
  return result;
}

/// Base policies with finitely many reward levels 0, 1, 2 …, and what is exactly true of their optimal policy.
template <class Transform>
std::vector<double> level_tilts(const std::vector<double>& probabilities, const Transform& transform, double beta) {
  std::vector<double> p;
  double below = 0;
  for (const double q : probabilities) {
    p.push_back(q * std::exp((transform(below + q / 2) - transform(1.0)) / beta));
    below += q;
  }
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= total;
  return p;
}
template <class Transform, class Procedure>
values exact_on_levels(const std::vector<double>& probabilities, const Transform& transform, double beta,
                       const Procedure& procedure) {
  const std::vector<double> p = level_tilts(probabilities, transform, beta);
  values v;
  double cdf = 0, base = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double next = std::min(1.0, cdf + p[i]), base_next = std::min(1.0, base + probabilities[i]);
    v.kl += p[i] * std::log(p[i] / probabilities[i]);
    v.standard_win_rate += p[i] * (base + base_next) / 2;
    v.inference_win_rate += (procedure.distortion(next) - procedure.distortion(cdf)) *
                            (procedure.distortion(base) + procedure.distortion(base_next)) / 2;
    cdf = next;
    base = base_next;
  }
  return v;
}

/// K samples of a base policy with reward levels.
std::vector<double> draw_levels(const std::vector<double>& probabilities, index_t k, std::mt19937_64& generator) {
  std::discrete_distribution<int> level(probabilities.begin(), probabilities.end());
  std::vector<double> rewards(static_cast<std::size_t>(k));
  for (double& r : rewards) r = level(generator);
  return rewards;
}

struct biases {
  values plug_in;
  values corrected;
};

/// Expectations over every sample of K from three levels, weighted by its multinomial probability: no simulation.
template <class Transform, class Procedure>
biases exact_biases(const std::vector<double>& q, index_t k, const Transform& transform, double beta,
                    const Procedure& procedure) {
  const values truth = exact_on_levels(q, transform, beta, procedure);
  biases result{{}, {}};
  infalign::scalar on;
  const auto factorial = [](index_t n) { return std::lgamma(static_cast<double>(n) + 1); };
  for (index_t a = 0; a <= k; ++a)
    for (index_t b = 0; a + b <= k; ++b) {
      const index_t c = k - a - b;
      std::vector<double> rewards(static_cast<std::size_t>(a), 0.0);
      rewards.insert(rewards.end(), static_cast<std::size_t>(b), 1.0);
      rewards.insert(rewards.end(), static_cast<std::size_t>(c), 2.0);
      const double log_probability = factorial(k) - factorial(a) - factorial(b) - factorial(c) +
                                     static_cast<double>(a) * std::log(q[0]) + static_cast<double>(b) * std::log(q[1]) +
                                     static_cast<double>(c) * std::log(q[2]);
      const auto e = evaluate_off_policy(on, infalign::rows<const double>(rewards.data(), 1, k), transform, kl_weight(beta),
                                         procedure, procedure);
      const double probability = std::exp(log_probability);
      result.plug_in = sum(result.plug_in, probability, sum(plug_in(e), -1, truth));
      result.corrected = sum(result.corrected, probability, sum(corrected(e), -1, truth));
    }
  return result;
}

template <class C, class... Arguments>
off_policy_evaluation evaluate(const std::vector<double>& rewards, index_t prompts, const Arguments&... arguments) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> r(std::vector<T>(rewards.begin(), rewards.end()));
  return evaluate_off_policy(on, r.rows(prompts, static_cast<index_t>(rewards.size()) / prompts), arguments...);
}

}  // namespace

TEST_CASE_TEMPLATE("of raw rewards: the jackknife of the finite base, by its definition", C, INFALIGN_CONFIGURATIONS) {
  const auto as_they_are = [](const std::vector<double>& r) { return r; };
  for (const index_t k : {2, 3, 8, 33})
    for (const int levels : {1, 3, 12, 1000})
      for (const double beta : {0.3, 5.0}) {
        CAPTURE(k);
        CAPTURE(levels);
        const auto rewards = test::tied_values<double>(k, static_cast<std::uint64_t>(k), levels);
        const auto check = [&](const auto& procedure) {
          const auto e = evaluate<C>(rewards, 1, kl_weight(beta), procedure, procedure);
          const double rounding = 1e-13 * static_cast<double>(k);  // K times a number below 10
          CHECK(distance(corrected(e), jackknife(rewards, beta, procedure, as_they_are)) <= rounding);
          CHECK(distance(plug_in(e), finite_base(rewards, beta, procedure)) <= rounding);
          CHECK(e.kl.corrected.count == 1);
        };
        check(best_of(4));
        check(cubed());
      }
}

TEST_CASE_TEMPLATE("of calibrated rewards with ties: the same, ranks found anew without each sample", C,
                   INFALIGN_CONFIGURATIONS) {
  // Every value at least three times, so that none occurs once however a sample is left out.
  std::vector<double> rewards;
  for (int level = 0; level < 7; ++level)
    for (int i = 0; i < 3 + level % 3; ++i) rewards.push_back(level);
  std::shuffle(rewards.begin(), rewards.end(), std::mt19937_64(3));
  const auto check = [&](const auto& transform, double beta, const auto& procedure) {
    const auto by = [&](const std::vector<double>& r) { return objective_of(r, transform); };
    const auto e = evaluate<C>(rewards, 1, transform, kl_weight(beta), procedure, procedure);
    CHECK(distance(corrected(e), jackknife(rewards, beta, procedure, by)) <= 1e-11);
    CHECK(distance(plug_in(e), finite_base(by(rewards), beta, procedure)) <= 1e-12);
  };
  check(identity(), 0.1, best_of(4));
  check(exponential(10), 5000.0, best_of(4));
  check(exponential(-10), 0.01, worst_of(4));
  check(infalign::logarithm(), 0.5, infalign::top_of(2, 5));
  check(identity(), 0.1, cubed());
}

TEST_CASE_TEMPLATE("of continuous rewards it equals quadrature, whatever the samples", C, INFALIGN_CONFIGURATIONS) {
  for (const auto& row : test::tradeoff) {
    CAPTURE(row.procedure);
    CAPTURE(row.exponent);
    CAPTURE(row.kl);
    row.with_procedure([&](const auto& procedure) {
      const values truth{row.kl, row.standard_win_rate, row.inference_win_rate};
      for (const index_t k : {16, 200}) {
        const auto rewards = test::normal_values<double>(k, static_cast<std::uint64_t>(k));
        const auto e = row.exponent == 0
                           ? evaluate<C>(rewards, 1, identity(), kl_weight(row.beta), procedure, procedure)
                           : evaluate<C>(rewards, 1, exponential(row.exponent), kl_weight(row.beta), procedure, procedure);
        // The midpoint rule on 16² and on 1000 pieces; where these densities have mass, the slope of their logarithm is below 80.
        // Its error falls as K⁻⁴ and as K⁻², of which the jackknife leaves 3 times and once.
        const double slope = k == 16 ? 80.0 / 256 : 80.0 / 1000;
        CHECK(distance(corrected(e), truth) <= (k == 16 ? 3 : 1) * slope * slope / 24);
      }
    });
  }
}

TEST_CASE("no number of samples is special") {
  const auto* row = std::find_if(std::begin(test::tradeoff), std::end(test::tradeoff), [](const test::tradeoff_row& r) {
    return std::string(r.procedure) == "best_of" && r.n == 8 && r.exponent == 10 && r.kl == 0.75;
  });
  const values truth{row->kl, row->standard_win_rate, row->inference_win_rate};
  const auto rewards = test::normal_values<double>(1100, 1);
  infalign::scalar on;
  for (index_t k = 16; k <= 1100; k += test::stride<index_t>(97)) {
    const auto e = evaluate_off_policy(on, infalign::rows<const double>(rewards.data(), 1, k), exponential(10),
                                       kl_weight(row->beta), best_of(8), best_of(8));
    CAPTURE(k);
    CHECK(distance(corrected(e), truth) <= (k < 32 ? 0.01 : 1e-3));
  }
}

TEST_CASE("with reward levels the bias falls as 1/K², the plug-in's as 1/K") {
  const std::vector<double> shares[] = {{0.5, 0.3, 0.2}, {0.25, 0.25, 0.5}};
  for (std::size_t s = 0; s < 2; s += test::stride(2)) {
    const std::vector<double>& q = shares[s];
    const auto check = [&](const auto& transform, double beta, const auto& procedure) {
      const biases half = exact_biases(q, 64, transform, beta, procedure);
      const biases full = exact_biases(q, 128, transform, beta, procedure);
      for (const auto what : {&values::kl, &values::standard_win_rate, &values::inference_win_rate}) {
        CAPTURE(transform.name());
        CAPTURE(half.plug_in.*what);
        CAPTURE(full.plug_in.*what);
        CAPTURE(half.corrected.*what);
        CAPTURE(full.corrected.*what);
        CHECK(std::abs(full.plug_in.*what / (half.plug_in.*what) - 0.5) <= 0.1);
        CHECK(std::abs(full.corrected.*what / (half.corrected.*what) - 0.25) <= 0.1);
        CHECK(std::abs(half.corrected.*what) <= 0.0011);  // what the header says
        CHECK(std::abs(full.corrected.*what) <= std::abs(full.plug_in.*what) / 4);
      }
    };
    check(identity(), 0.3, best_of(4));
    if (test::stride(2) == 2) continue;  // numbers, which are the same whatever watches over memory
    check(exponential(10), 15'000.0, best_of(4));
    check(exponential(-5), 0.1, worst_of(4));
  }
}

TEST_CASE("predictions hold against the optimal policy itself, sampled and served literally; the plug-in's do not") {
  // Six levels; the true optimum for exponential:5 drawn from its own probabilities, best of 4 against best of 4 of the base.
  const std::vector<double> q{0.3, 0.25, 0.2, 0.12, 0.08, 0.05};
  const double beta = 60;
  constexpr index_t prompts = test::draws(6000), k = 64;
  std::mt19937_64 generator(17);
  std::vector<double> rewards;
  for (index_t p = 0; p < prompts; ++p) {
    const auto drawn = draw_levels(q, k, generator);
    rewards.insert(rewards.end(), drawn.begin(), drawn.end());
  }
  infalign::scalar on;
  const auto e = evaluate_off_policy(on, infalign::rows<const double>(rewards.data(), prompts, k), exponential(5),
                                     kl_weight(beta), best_of(4), best_of(4));
  CHECK(e.reliable());

  constexpr int games = test::draws(300'000);
  const std::vector<double> p = level_tilts(q, exponential(5), beta);
  std::discrete_distribution<int> policy(p.begin(), p.end()), base(q.begin(), q.end());
  const auto best_of_four = [&](auto& levels) {
    return std::max({levels(generator), levels(generator), levels(generator), levels(generator)});
  };
  double plain = 0, served = 0;
  const auto score = [](int y, int z) { return y > z ? 1.0 : y == z ? 0.5 : 0.0; };
  for (int i = 0; i < games; ++i) {
    plain += score(policy(generator), base(generator));
    served += score(best_of_four(policy), best_of_four(base));
  }
  const auto deviations = [&](const infalign::estimate& predicted, double wins) {
    const double mean = wins / games;
    return (predicted.value - mean) /
           std::sqrt(mean * (1 - mean) / games + predicted.standard_error * predicted.standard_error);
  };
  CHECK(std::abs(deviations(e.standard_win_rate.corrected, plain)) <= 4);
  CHECK(std::abs(deviations(e.inference_win_rate.corrected, served)) <= 4);
  constexpr bool enough = games >= 300'000;  // to see the bias of the plug-in
  if (enough) CHECK(std::abs(deviations(e.inference_win_rate.plug_in, served)) > 4);
  const double kl = exact_on_levels(q, exponential(5), beta, standard()).kl;
  CHECK(std::abs(e.kl.corrected.value - kl) <= 4 * e.kl.corrected.standard_error);
  if (enough) CHECK(std::abs(e.kl.plug_in.value - kl) > 4 * e.kl.plug_in.standard_error);
}

TEST_CASE("standard errors are those of means over prompts") {
  // Prompts of two kinds, as likely; 500 sets of 40.
  const std::vector<double> kinds[] = {{0.5, 0.3, 0.2}, {0.2, 0.4, 0.2, 0.2}};
  const double beta = 0.3;
  const values truth = sum(sum({}, 0.5, exact_on_levels(kinds[0], identity(), beta, best_of(2))), 0.5,
                           exact_on_levels(kinds[1], identity(), beta, best_of(2)));
  constexpr index_t prompts = 40, k = 48;
  constexpr int sets = test::draws(500);
  std::mt19937_64 generator(23);
  infalign::scalar on;
  double squares[3] = {};
  for (int s = 0; s < sets; ++s) {
    std::vector<double> rewards;
    for (index_t p = 0; p < prompts; ++p) {
      const auto drawn = draw_levels(kinds[generator() % 2], k, generator);
      rewards.insert(rewards.end(), drawn.begin(), drawn.end());
    }
    const auto e = evaluate_off_policy(on, infalign::rows<const double>(rewards.data(), prompts, k), identity(),
                                       kl_weight(beta), best_of(2), best_of(2));
    const auto add = [](double& to, const infalign::estimate& x, double expected) {
      to += (x.value - expected) * (x.value - expected) / (x.standard_error * x.standard_error);
    };
    add(squares[0], e.kl.corrected, truth.kl);
    add(squares[1], e.standard_win_rate.corrected, truth.standard_win_rate);
    add(squares[2], e.inference_win_rate.corrected, truth.inference_win_rate);
  }
  // Squares of Student's t with 39 degrees of freedom: mean 39/37, variance 2·39²·38/(37²·35) = 2.4.
  for (const double x : squares) CHECK(std::abs(x / sets - 39.0 / 37) <= 4 * std::sqrt(2.4 / sets));
}

TEST_CASE_TEMPLATE("the values of prompts, dense and ragged; the means are theirs", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto rewards = test::tied_values<T>(60, 9, 6);
  typename C::template array<T> r(rewards);
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 20, 22, 60});
  typename C::template array<double> kl(3, -1.0), wins(3, -1.0), plain(3, -1.0), effective(3, -1.0);
  const auto check = [&](const auto& groups, const std::vector<std::pair<index_t, index_t>>& bounds) {
    const auto e = evaluate_off_policy(on, groups, identity(), kl_weight(0.2), best_of(3), standard(),
                                       {kl.span(), plain.span(), wins.span(), effective.span()});
    for (const auto& [values, mean] :
         {std::pair(kl.host(), e.kl.corrected), std::pair(plain.host(), e.standard_win_rate.corrected),
          std::pair(wins.host(), e.inference_win_rate.corrected), std::pair(effective.host(), e.effective_samples)}) {
      const auto expected = infalign::summarize(infalign::scalar(), values);
      CHECK(mean.value == doctest::Approx(expected.value).epsilon(1e-14));
      CHECK(mean.standard_error == doctest::Approx(expected.standard_error).epsilon(1e-13));
      CHECK(mean.count == 3);
    }
    for (index_t p = 0; p < 3; ++p) {
      const auto [begin, end] = bounds[static_cast<std::size_t>(p)];
      const std::vector<double> group(rewards.begin() + begin, rewards.begin() + end);
      const auto alone = evaluate<C>(group, 1, identity(), kl_weight(0.2), best_of(3), standard());
      const auto i = static_cast<std::size_t>(p);
      CHECK(distance(corrected(alone), {kl.host()[i], plain.host()[i], wins.host()[i]}) <= 1e-13);
      CHECK(alone.effective_samples.value == doctest::Approx(effective.host()[i]).epsilon(1e-13));
    }
  };
  const auto e = evaluate_off_policy(on, r.rows(3, 20), identity(), kl_weight(0.2), best_of(3), standard());
  // A vector, because nvcc 13 does not compile a loop over a list in braces within another one here.
  const std::vector<infalign::estimate> win_rates{e.standard_win_rate.corrected, e.standard_win_rate.plug_in,
                                                  e.inference_win_rate.corrected, e.inference_win_rate.plug_in};
  for (const infalign::estimate& mean : win_rates) CHECK((mean.lowest == 0 && mean.highest == 1));
  CHECK((e.kl.corrected.lowest == 0 && e.kl.plug_in.lowest == 0 && std::isinf(e.kl.corrected.highest)));
  check(r.rows(3, 20), {{0, 20}, {20, 40}, {40, 60}});
  check(r.rows(3, 17, 20), {{0, 17}, {20, 37}, {40, 57}});
  check(r.ragged(offsets), {{0, 20}, {20, 22}, {22, 60}});
}

TEST_CASE_TEMPLATE("only the order of calibrated rewards counts, and only the ratio of transform and beta", C,
                   INFALIGN_CONFIGURATIONS) {
  const auto rewards = test::tied_values<double>(50, 2, 30);
  std::vector<double> others;
  for (const double r : rewards) others.push_back(r * r * r - 100);
  std::shuffle(others.begin(), others.end(), std::mt19937_64(1));
  const auto e = evaluate<C>(rewards, 1, identity(), kl_weight(0.125), best_of(4), best_of(4));
  CHECK(distance(corrected(e), corrected(evaluate<C>(others, 1, identity(), kl_weight(0.125), best_of(4), best_of(4)))) == 0);
  const auto scaled = evaluate<C>(rewards, 1, infalign::scaled(identity(), 16), kl_weight(2), best_of(4), best_of(4));
  CHECK(distance(corrected(e), corrected(scaled)) == 0);
}

TEST_CASE_TEMPLATE("equal rewards, a large beta and a small one", C, INFALIGN_CONFIGURATIONS) {
  for (const index_t k : {2, 9}) {
    const auto e = evaluate<C>(std::vector<double>(static_cast<std::size_t>(k), 3.0), 1, identity(), kl_weight(0.01),
                               best_of(4), best_of(4));
    CHECK(distance(corrected(e), {0, 0.5, 0.5}) <= 1e-14);
    // Nobody knows of a better level: one sample of it would carry the policy.
    CHECK(e.effective_samples.value == doctest::Approx(1));
    CHECK(e.blind_prompts == (k < 4 ? 0 : 1));
  }
  const auto rewards = test::tied_values<double>(30, 5, 4);
  for (const double beta : {1e9, 1e300})
    CHECK(distance(corrected(evaluate<C>(rewards, 1, identity(), kl_weight(beta), best_of(4), best_of(4))), {0, 0.5, 0.5}) <=
          1e-7);
  // All mass on the c of 30 that tie for the best: KL = log(30/c).
  const auto c = static_cast<double>(std::count(rewards.begin(), rewards.end(), 3.0));
  REQUIRE(c > 1);
  const double jackknifed = 30 * std::log(30 / c) - 29 * ((c * std::log(29 / (c - 1)) + (30 - c) * std::log(29 / c)) / 30);
  for (const double beta : {1e-4, 1e-30, 1e-300})
    for (const auto& e : {evaluate<C>(rewards, 1, identity(), kl_weight(beta), best_of(4), best_of(4)),
                          evaluate<C>(rewards, 1, kl_weight(beta), best_of(4), best_of(4))}) {
      CHECK(e.kl.plug_in.value == doctest::Approx(std::log(30 / c)).epsilon(1e-13));
      CHECK(e.kl.corrected.value == doctest::Approx(jackknifed).epsilon(1e-12));
      CHECK(e.effective_samples.value == doctest::Approx(c).epsilon(1e-13));
    }
}

TEST_CASE("too few samples under the tilt are reported") {
  // One prompt in ten has its best level sampled once.
  std::vector<double> rewards;
  for (int p = 0; p < 40; ++p)
    for (int i = 0; i < 20; ++i) rewards.push_back(i < (p % 10 == 0 ? 1 : 6) ? 1.0 : 0.0);
  infalign::scalar on;
  const infalign::rows<const double> r(rewards.data(), 40, 20);
  const auto strong = evaluate_off_policy(on, r, identity(), kl_weight(0.02), best_of(4), best_of(4));
  CHECK(strong.thin_prompts == 4);
  CHECK_FALSE(strong.reliable());
  const auto weak = evaluate_off_policy(on, r, identity(), kl_weight(1), best_of(4), best_of(4));
  CHECK(weak.thin_prompts == 0);
  CHECK(weak.reliable());
  // Without ties the mass can lie in a part of one sample's cell: 16 samples, of which a tilt of width 1/1000 takes 2·16/1000.
  const auto values = test::normal_values<double>(16, 1);
  const auto narrow = evaluate_off_policy(on, infalign::rows<const double>(values.data(), 1, 16), identity(), kl_weight(0.01),
                                          best_of(4), best_of(4));
  CHECK(narrow.effective_samples.value == doctest::Approx(2 * 16 * 0.01).epsilon(0.01));
}

TEST_CASE("what was not sampled is doubted, and what nobody could have sampled is not") {
  infalign::scalar on;
  const auto of = [&](const std::vector<double>& rewards, index_t prompts, double beta) {
    return evaluate_off_policy(
        on, infalign::rows<const double>(rewards.data(), prompts, static_cast<index_t>(rewards.size()) / prompts), identity(),
        kl_weight(beta), best_of(4), best_of(4));
  };
  // Fifty prompts of eight zeros.
  const auto zeros = of(std::vector<double>(400, 0.0), 50, 0.01);
  CHECK(zeros.blind_prompts == 50);
  CHECK(zeros.doubt() == "a better reward that was not sampled could hold much of the policy");
  CHECK(zeros.inference_win_rate.interval().high > 0.51);
  CHECK(zeros.inference_win_rate.interval().low < 0.5);
  CHECK(zeros.kl.interval().high > 0.1);
  // Some prompts show a better level. In those that show only that one, nothing is missing; in those of zeros, it may be.
  std::vector<double> passed(400, 1.0), failed(400, 0.0);
  for (std::size_t i = 0; i < 4; ++i) passed[i] = 0, failed[i] = 1;
  CHECK(of(passed, 50, 0.01).reliable());
  CHECK(of(failed, 50, 0.01).blind_prompts == 49);
  CHECK(of(failed, 50, 10).reliable());  // where rewards hardly matter
  // Ranks alone: every prompt says the same, and one is enough.
  const auto continuous = of(test::normal_values<double>(32, 3), 1, 0.5);
  CHECK(continuous.tied_prompts == 0);
  CHECK(continuous.reliable());
  CHECK(of(test::normal_values<double>(33, 3), 11, 0.5).doubt() == "a prompt has fewer than four samples");
  CHECK(of(passed, 50, 0.01).tied_prompts == 50);
  passed.resize(80);
  CHECK(of(passed, 10, 0.01).doubt() == "fewer than twelve prompts");
  // Raw rewards: a tail that other prompts show could carry the policy.
  std::vector<double> tail = test::normal_values<double>(640, 5);
  tail[7] = 40;
  const infalign::rows<const double> r(tail.data(), 20, 32);
  CHECK(evaluate_off_policy(on, r, kl_weight(1), best_of(4), best_of(4)).blind_prompts >= 15);
  tail[7] = 1;
  CHECK(evaluate_off_policy(on, r, kl_weight(2), best_of(4), best_of(4)).reliable());
}

TEST_CASE("an interval has its three parts, a width, and stays in the range") {
  infalign::off_policy_value v{{0.9, 0.01, 20, 0, 1}, {0.86, 0.01, 20, 0, 1}, 0.87, 0.005};
  const double t = 2.093024054408263;  // scipy.stats.t.ppf(0.975, 19)
  CHECK(v.bias() == doctest::Approx(0.03));
  CHECK(v.interval().low == doctest::Approx(0.9 - t * 0.01 - 0.03 - 0.005).epsilon(1e-8));
  CHECK(v.interval().high == doctest::Approx(0.9 + t * 0.01 + 0.03 + 0.005).epsilon(1e-8));
  v.of_halves = infalign::infinity<double>;
  CHECK(v.bias() == doctest::Approx(0.02));
  for (const double value : {-0.1, 0.0, 0.5, 1.0, 1.0202}) {
    const auto interval = infalign::off_policy_value{{value, 1e-16, 20, 0, 1}, {value, 0, 20, 0, 1}, value, 0}.interval();
    CHECK(interval.low >= 0);
    CHECK(interval.high <= 1);
    CHECK(interval.low < interval.high);
  }
}

TEST_CASE_TEMPLATE("bad input is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  auto rewards = test::normal_values<T>(6, 4);
  typename C::template array<T> r(rewards);
  typename C::template array<index_t> short_group(std::vector<index_t>{0, 5, 6});
  typename C::template array<double> two(2, -7.0), three(3, -7.0);
  const auto call = [&](const auto& groups, double beta, const auto& kl) {
    return test::message_of<infalign::error>(
        [&] { (void)evaluate_off_policy(on, groups, identity(), kl_weight(beta), standard(), standard(), {.kl = kl}); });
  };
  CHECK(call(r.rows(2, 3), 0, two.span()) == "evaluate_off_policy: beta is 0, must be positive");
  CHECK(call(r.rows(0, 3), 1, two.span()) == "evaluate_off_policy: rewards is empty");
  CHECK(call(r.ragged(short_group), 1, two.span()) ==
        "evaluate_off_policy: rewards[1] has 1 values, at least two are needed, of which one is left out");
  CHECK(call(r.rows(2, 3), 1, three.span()) == "evaluate_off_policy: prompts.kl has 3 values, but rewards has 2 groups");
  rewards[5] = std::numeric_limits<T>::quiet_NaN();
  typename C::template array<T> bad(rewards);
  CHECK(call(bad.rows(2, 3), 1, two.span()) == "evaluate_off_policy: rewards[1][2] is nan, must be finite");
  CHECK(two.host() == std::vector<double>(2, -7.0));
  CHECK(three.host() == std::vector<double>(3, -7.0));
  if constexpr (std::is_same_v<T, double>) {  // results over the rewards
    const auto first_two = r.rows(1, 2);
    const auto message = call(r.rows(2, 3), 1, decltype(two.span())(first_two.data(), 2));
    CHECK(message.find("evaluate_off_policy: prompts.kl overlaps rewards") == 0);
    CHECK(r.host() == test::normal_values<T>(6, 4));
  }
}

TEST_CASE("procedures that draw more samples than quantiles are known for are refused") {
  infalign::scalar on;
  const std::vector<double> rewards = {1, 2, 3};
  const infalign::rows<const double> prompt(rewards.data(), 1, 3);
  const auto call = [&](const auto& procedure, const auto& base_procedure) {
    return test::message_of<infalign::domain_error>(
        [&] { (void)evaluate_off_policy(on, prompt, identity(), kl_weight(1), procedure, base_procedure); });
  };
  CHECK(call(best_of(index_t{1} << 40), standard()) ==
        "evaluate_off_policy: procedure draws 1099511627776 samples, the most are 1073741824");
  CHECK(call(standard(), worst_of(index_t{1} << 40)) ==
        "evaluate_off_policy: base_procedure draws 1099511627776 samples, the most are 1073741824");
  CHECK_NOTHROW(
      (void)evaluate_off_policy(on, prompt, identity(), kl_weight(1), best_of(index_t{1} << 30), worst_of(index_t{1} << 30)));
}

TEST_CASE("a prompt whose jackknife would take too long is refused, one without ties is not") {
  infalign::scalar on;
  constexpr index_t many = 40'000;
  std::vector<double> rewards(many);
  for (index_t i = 0; i < many; ++i) rewards[static_cast<std::size_t>(i)] = static_cast<double>(i) / many;
  const infalign::rows<const double> prompt(rewards.data(), 1, many);
  CHECK(test::message_of<infalign::domain_error>(
            [&] { (void)evaluate_off_policy(on, prompt, kl_weight(1), standard(), standard()); }) ==
        "evaluate_off_policy: rewards[0] has 40000 distinct values and 40000 distinct ways to leave a sample out, whose "
        "product must "
        "be at most 134217728: take fewer samples of it");
  // Φ = u at β = 1: Z = e - 1, KL = 1/(e - 1) - log(e - 1), the mean of u is 1/(e - 1).
  const off_policy_evaluation all = evaluate_off_policy(on, prompt, identity(), kl_weight(1), standard(), standard());
  const double z = std::expm1(1.0);
  // The jackknife multiplies the rounding of sums of K terms by K.
  CHECK(std::abs(all.kl.corrected.value - (1 / z - std::log(z))) <= 1e-7);
  CHECK(std::abs(all.standard_win_rate.corrected.value - 1 / z) <= 1e-7);
  // Every second value twice: each value is another way.
  for (std::size_t i = 0; i + 2 < many; i += 3) rewards[i] = rewards[i + 1];
  CHECK(test::message_of<infalign::domain_error>(
            [&] { (void)evaluate_off_policy(on, prompt, identity(), kl_weight(1), standard(), standard()); }) ==
        "evaluate_off_policy: rewards[0] has 26667 distinct values and 26666 distinct ways to leave a sample out, whose "
        "product must "
        "be at most 134217728: take fewer samples of it");
}
