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
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/samples.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::standard;
using infalign::worst_of;

namespace {

/// A procedure with nothing but what is required: the best of `1 + Poisson(mean)` samples.
struct best_of_poisson {
  double mean;
  [[nodiscard]] double distortion(double q) const { return q * std::exp(mean * (q - 1)); }
};

/// Calls `check(procedure, serve)`, where `serve` picks from N samples what the procedure serves.
template <class Check>
void for_each_procedure(Check&& check) {
  const auto largest = [](const std::vector<double>& x) { return *std::max_element(x.begin(), x.end()); };
  const auto smallest = [](const std::vector<double>& x) { return *std::min_element(x.begin(), x.end()); };
  check(standard{}, largest);
  for (const index_t n : {1, 2, 3, 4, 7}) {
    check(best_of(n), largest);
    check(worst_of(n), smallest);
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
static_assert(infalign::inference_procedure<best_of_poisson>);
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
      s = serve(samples);
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
        int subsets = 0, counted = 0;
        for (unsigned mask = 0; mask < (1u << m); ++mask) {
          if (std::popcount(mask) != n) continue;
          std::vector<double> subset;
          for (index_t i = 0; i < m; ++i)
            if (mask >> i & 1u) subset.push_back(static_cast<double>(i));
          ++subsets;
          counted += serve(subset) < static_cast<double>(c);
        }
        CHECK(std::abs(procedure.from_count(c, m) - static_cast<double>(counted) / subsets) <= 1e-15);
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
  const best_of_poisson procedure{2.5};
  CHECK(infalign::detail::samples_needed(procedure) == 1);
  CHECK(infalign::detail::served_share(procedure, 3, 8) == procedure.distortion(3.0 / 8));
  CHECK(infalign::detail::served_share(best_of(2), 3, 8) == doctest::Approx(3.0 / 28).epsilon(1e-15));
}
