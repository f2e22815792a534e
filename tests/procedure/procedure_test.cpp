// SPDX-License-Identifier: Apache-2.0
/// What holds for every procedure, and the procedures against each other, enumeration and simulation.
#include "infalign/procedure/procedure.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/top_of.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/samples.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::order_statistic;
using infalign::standard;
using infalign::top_of;
using infalign::worst_of;

namespace {

/// A procedure with nothing but what is required.
struct squared {
  [[nodiscard]] static double distortion(double q) { return q * q; }
};

/// Of N samples, those in the ranks `first … last` (from 1, ascending): one of them is served, each as often.
struct ranks {
  index_t first;
  index_t last;
  std::vector<double> operator()(std::vector<double> samples) const {
    std::sort(samples.begin(), samples.end());
    return {samples.begin() + (first - 1), samples.begin() + last};
  }
};

/// Calls `check(procedure, serve)`, where `serve` picks from N samples what the procedure may serve.
template <class Check>
void for_each_procedure(Check&& check) {
  check(standard{}, ranks{1, 1});
  for (const index_t n : {1, 2, 3, 4, 7}) {
    check(best_of(n), ranks{n, n});
    check(worst_of(n), ranks{1, 1});
  }
  for (const index_t n : {1, 2, 5, 7})
    for (index_t m = 1; m <= n; m += 2) {
      check(order_statistic(m, n), ranks{m, m});
      check(top_of(m, n), ranks{n - m + 1, n});
    }
}

double binomial_probability(index_t m, index_t c, double q) {
  double choose = 1;
  for (index_t i = 0; i < c; ++i) choose = choose * static_cast<double>(m - i) / static_cast<double>(i + 1);
  return choose * std::pow(q, static_cast<double>(c)) * std::pow(1 - q, static_cast<double>(m - c));
}

}  // namespace

static_assert(infalign::inference_procedure<standard>);
static_assert(infalign::inference_procedure<best_of>);
static_assert(infalign::inference_procedure<worst_of>);
static_assert(infalign::inference_procedure<order_statistic>);
static_assert(infalign::inference_procedure<top_of>);
static_assert(infalign::inference_procedure<squared>);
static_assert(!infalign::inference_procedure<double>);

TEST_CASE("a distortion increases from 0 to 1") {
  for_each_procedure([](const auto& procedure, auto) {
    CAPTURE(procedure.name());
    CHECK(procedure.distortion(0.0) == 0.0);
    CHECK(procedure.distortion(1.0) == 1.0);
    for (int i = 0; i < 100; ++i) CHECK(procedure.distortion(i / 100.0) < procedure.distortion((i + 1) / 100.0));
  });
}

TEST_CASE("a density is the derivative of the distortion") {
  for_each_procedure([](const auto& procedure, auto) {
    CAPTURE(procedure.name());
    const double h = 1e-5;
    for (const double q : {0.01, 0.1, 0.35, 0.5, 0.8, 0.99}) {
      const double slope = (procedure.distortion(q + h) - procedure.distortion(q - h)) / (2 * h);
      // Truncation: h²/6 of the third derivative, at most N³ = 343; rounding: 2⁻⁵² / h.
      CHECK(std::abs(procedure.density(q) - slope) <= h * h / 6 * 343 + 2.3e-16 / h);
    }
  });
  CHECK(best_of(1).density(0) == 1);
  CHECK(worst_of(1).density(1) == 1);
  CHECK(best_of(3).density(1) == 3);
  CHECK(worst_of(3).density(0) == 3);
}

TEST_CASE("the distortion is the distribution of what is served") {
  constexpr int draws = 100'000;
  std::mt19937_64 generator(5);
  std::uniform_real_distribution<double> uniform;
  for_each_procedure([&](const auto& procedure, auto serve) {
    CAPTURE(procedure.name());
    const auto n = static_cast<std::size_t>(infalign::detail::samples_needed(procedure));
    std::vector<double> served(draws), samples(n);
    for (double& s : served) {
      for (double& x : samples) x = uniform(generator);
      const std::vector<double> candidates = serve(samples);
      s = candidates[generator() % candidates.size()];
    }
    for (const double q : {0.1, 0.3, 0.5, 0.7, 0.9}) {
      const double share = static_cast<double>(std::count_if(served.begin(), served.end(), [q](double s) { return s <= q; }));
      const double expected = procedure.distortion(q);
      CHECK(std::abs(share / draws - expected) <= 4 * std::sqrt(expected * (1 - expected) / draws));
    }
  });
}

TEST_CASE("from_count is the share of all subsets whose served sample is counted") {
  for_each_procedure([](const auto& procedure, auto serve) {
    CAPTURE(procedure.name());
    const index_t n = infalign::detail::samples_needed(procedure);
    for (index_t m = n; m <= 9; ++m)
      for (index_t c = 0; c <= m; ++c) {
        double subsets = 0, counted = 0;
        for (unsigned mask = 0; mask < (1u << m); ++mask) {
          if (std::popcount(mask) != n) continue;
          std::vector<double> subset;
          for (index_t i = 0; i < m; ++i)
            if (mask >> i & 1u) subset.push_back(static_cast<double>(i));
          ++subsets;
          const std::vector<double> served = serve(subset);
          const auto below = std::count_if(served.begin(), served.end(), [c](double x) { return x < static_cast<double>(c); });
          counted += static_cast<double>(below) / static_cast<double>(served.size());
        }
        CHECK(std::abs(procedure.from_count(c, m) - counted / subsets) <= 1e-14);
      }
  });
}

TEST_CASE("the expectation of from_count over binomial counts is the distortion") {
  for_each_procedure([](const auto& procedure, auto) {
    CAPTURE(procedure.name());
    for (index_t m = infalign::detail::samples_needed(procedure); m <= 40; ++m)
      for (const double q : {0.05, 0.3, 0.5, 0.9}) {
        double mean = 0;
        for (index_t c = 0; c <= m; ++c) mean += binomial_probability(m, c, q) * procedure.from_count(c, m);
        CHECK(std::abs(mean - procedure.distortion(q)) <= 1e-13);
      }
  });
}

TEST_CASE("without from_count the share is plugged in, and one sample is enough") {
  const squared procedure;
  CHECK(infalign::detail::samples_needed(procedure) == 1);
  CHECK(infalign::detail::served_share(procedure, 3, 8) == procedure.distortion(3.0 / 8));
  CHECK(infalign::detail::served_share(best_of(2), 3, 8) == doctest::Approx(3.0 / 28).epsilon(1e-15));
}
