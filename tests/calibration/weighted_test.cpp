// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "calibration/brute_force.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::tie_rule;
using namespace infalign::test;

namespace {

template <class C, class T, class W>
std::vector<double> run(const prompts<T>& references, const prompts<W>& weights, const prompts<T>& rewards,
                        const tie_rule& ties = {}) {
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(packed(references)), y(packed(rewards));
  typename C::template array<W> w(packed(weights));
  typename C::template array<double> u(static_cast<index_t>(packed(rewards).size()), -9.0);
  typename C::template array<index_t> z_offsets(offsets_of(sizes_of(references))), y_offsets(offsets_of(sizes_of(rewards)));
  infalign::calibrate_weighted(on, z.ragged(z_offsets), w.ragged(z_offsets), y.ragged(y_offsets), u.ragged(y_offsets), {ties});
  return u.host();
}

template <class W>
prompts<W> weights_like(const std::vector<index_t>& sizes, double low, double high, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  prompts<W> weights;
  for (const index_t n : sizes) {
    weights.emplace_back();
    for (index_t i = 0; i < n; ++i) weights.back().push_back(static_cast<W>(uniform(generator)));
  }
  return weights;
}

const std::vector<index_t> reference_sizes{1, 2, 5, 16, 17, 33, 100, 8};
const std::vector<index_t> reward_sizes{9, 1, 33, 4, 8, 16, 20, 0};

template <class T>
prompts<T> tied_prompts(const std::vector<index_t>& sizes, std::uint64_t seed) {
  prompts<T> result;
  for (const index_t n : sizes) result.push_back(tied_values<T>(n, ++seed, 7));
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("whole-number weights give the exact quotient", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto references = tied_prompts<T>(reference_sizes, 1);
  const auto rewards = tied_prompts<T>(reward_sizes, 100);
  prompts<T> weights;
  for (const index_t n : reference_sizes) {
    weights.push_back(tied_values<T>(n, static_cast<std::uint64_t>(7 + n), 9));
    weights.back()[0] = T(3);  // not all zero
  }
  for (const tie_rule& ties : all_tie_rules) {
    const auto expected = calibrated(references, weights, rewards, ties, false);
    CHECK(same_bits(run<C>(references, weights, rewards, ties), expected));
    // A power of two changes nothing, down to denormal weights and up to the largest (times 8, below 2^127).
    for (const double factor : {0x1.0p-10, 0x1.0p-126, 0x1.0p120}) {
      auto scaled = weights;
      for (auto& p : scaled)
        for (T& w : p) w = static_cast<T>(static_cast<double>(w) * factor);
      CHECK(same_bits(run<C>(references, scaled, rewards, ties), expected));
    }
  }
}

TEST_CASE_TEMPLATE("weights at the ends of the range of double", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const prompts<T> references{{1, 2, 3, 4}};
  const prompts<T> rewards{{2, 9, 0}};
  const std::vector<double> expected{1.0 / 5 + 0.5 / 5, 1, 0};
  for (const double unit : {0x1.0p-1074, 0x1.0p-1000, 1.0, 0x1.0p1022}) {
    const prompts<double> weights{{unit, unit, unit, 2 * unit}};
    const auto u = run<C>(references, weights, rewards);
    CHECK(u[0] == doctest::Approx(expected[0]).epsilon(1e-15));
    CHECK(u[1] == 1);
    CHECK(u[2] == 0);
  }
}

TEST_CASE_TEMPLATE("float weights of similar size lose nothing", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Within a factor of 2^26/100 of each other: sums in long double are exact, and so must those of the library be.
  const auto references = tied_prompts<T>(reference_sizes, 1);
  const auto rewards = tied_prompts<T>(reward_sizes, 100);
  const auto weights = weights_like<float>(reference_sizes, 0.001, 100, 3);
  for (const tie_rule& ties : {tie_rule::mid_rank(), tie_rule::below(), tie_rule::at_or_below()})
    CHECK(same_bits(run<C>(references, weights, rewards, ties), calibrated(references, weights, rewards, ties, false)));
}

TEST_CASE_TEMPLATE("double weights are rounded to 2^-49 of K times the largest", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto references = tied_prompts<T>(reference_sizes, 1);
  const auto rewards = tied_prompts<T>(reward_sizes, 100);
  for (const double low : {0.5, 1e-9}) {
    auto weights = weights_like<double>(reference_sizes, std::log(low), 0, 5);
    for (auto& p : weights)
      for (double& w : p) w = std::exp(w);
    const auto expected = calibrated(references, weights, rewards, tie_rule::mid_rank(), false);
    const auto u = run<C>(references, weights, rewards);
    std::size_t i = 0;
    for (std::size_t p = 0; p < rewards.size(); ++p) {
      // Each of K weights is off by at most half of 2^-49·K·largest, in the numerator and in the sum.
      double sum = 0;
      for (const double w : weights[p]) sum += w;
      const auto k = static_cast<double>(weights[p].size());
      const double bound = 0x1.0p-49 * k * k * *std::max_element(weights[p].begin(), weights[p].end()) / sum + 0x1.0p-52;
      for (std::size_t j = 0; j < rewards[p].size(); ++j, ++i) CHECK(std::abs(u[i] - expected[i]) <= bound);
    }
  }
}

TEST_CASE_TEMPLATE("equal weights are no weights, and weight 0 is no reference", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto references = tied_prompts<T>(reference_sizes, 1);
  const auto rewards = tied_prompts<T>(reward_sizes, 100);
  for (const tie_rule& ties : all_tie_rules) {
    const auto expected = calibrated(references, rewards, ties);
    CHECK(same_bits(run<C>(references, ones_like(references), rewards, ties), expected));

    auto more = references;
    auto weights = ones_like(references);
    for (std::size_t p = 0; p < more.size(); ++p)
      for (int i = 0; i < 19; ++i) {
        more[p].insert(more[p].begin(), static_cast<T>(i % 7));
        weights[p].insert(weights[p].begin(), T(0));
      }
    CHECK(same_bits(run<C>(more, weights, rewards, ties), expected));
  }
}

TEST_CASE_TEMPLATE("importance weights turn references from another policy into the base policy's", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Base: uniform on {0, 1, 2, 3}. References from q, proportional to (1, 2, 3, 4), in just those numbers: exact.
  const prompts<T> references{{0, 1, 1, 2, 2, 2, 3, 3, 3, 3}};
  const prompts<float> weights{{12, 6, 6, 4, 4, 4, 3, 3, 3, 3}};
  CHECK(run<C>(references, weights, prompts<T>{{0, 1, 2, 3}}) == std::vector<double>{0.125, 0.375, 0.625, 0.875});
}
