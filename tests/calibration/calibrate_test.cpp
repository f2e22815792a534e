// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/calibrate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "calibration/brute_force.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::calibration_options;
using infalign::index_t;
using infalign::rank_algorithm;
using infalign::tie_rule;
using namespace infalign::test;

namespace {

template <class T>
prompts<T> make_prompts(const std::vector<index_t>& sizes, std::uint64_t seed, int levels) {
  prompts<T> result;
  for (const index_t n : sizes) {
    ++seed;
    result.push_back(levels > 0 ? tied_values<T>(n, seed, levels) : normal_values<T>(n, seed));
  }
  return result;
}

/// `calibrate` of ragged prompts on configuration `C`.
template <class C, class T>
std::vector<T> run_ragged(const prompts<T>& references, const prompts<T>& rewards, const calibration_options& options) {
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(packed(references)), y(packed(rewards)),
      u(static_cast<index_t>(packed(rewards).size()), T(-9));
  typename C::template array<index_t> z_offsets(offsets_of(sizes_of(references))), y_offsets(offsets_of(sizes_of(rewards)));
  infalign::calibrate(on, z.ragged(z_offsets), y.ragged(y_offsets), u.ragged(y_offsets), options);
  return u.host();
}

/// The same of prompts of one size, as rows.
template <class C, class T>
std::vector<T> run_dense(const prompts<T>& references, const prompts<T>& rewards, const calibration_options& options) {
  typename C::backend on = C::make_backend();
  const auto n = static_cast<index_t>(references.size());
  const auto k = static_cast<index_t>(references[0].size());
  const auto m = static_cast<index_t>(rewards[0].size());
  typename C::template array<T> z(packed(references)), y(packed(rewards)), u(n * m, T(-9));
  infalign::calibrate(on, z.rows(n, k), y.rows(n, m), u.rows(n, m), options);
  return u.host();
}

}  // namespace

TEST_CASE_TEMPLATE("calibrate equals a brute-force count for every size around the registers", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t k : sizes_around_registers())
    for (const index_t m : sizes_around_registers()) {
      if (k == 0) continue;
      const auto references = make_prompts<T>({k, k, k}, static_cast<std::uint64_t>(100 * k), 0);
      auto rewards = make_prompts<T>({m, m, m}, static_cast<std::uint64_t>(100 * m + 7), 0);
      // Some rewards that equal a reference, the extremes among them.
      for (auto& prompt : rewards)
        for (std::size_t j = 0; j < prompt.size(); j += 3) {
          auto z = references[j % 3];
          std::sort(z.begin(), z.end());
          prompt[j] = j == 0 ? z.front() : j == 3 ? z.back() : z[j % z.size()];
        }
      const auto expected = rounded<T>(calibrated(references, rewards));
      for (const rank_algorithm algorithm : all_rank_algorithms)
        REQUIRE(same_bits(run_dense<C>(references, rewards, {{}, algorithm}), expected));
    }
}

TEST_CASE_TEMPLATE("calibrate equals a brute-force count with ties, by every rule and algorithm", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t k : {1, 6, 16, 35, 200})
    for (const index_t m : {1, 4, 9, 33})
      for (const int levels : {1, 3, 20}) {
        const auto references = make_prompts<T>({k, k, k, k}, static_cast<std::uint64_t>(k), levels);
        const auto rewards = make_prompts<T>({m, m, m, m}, static_cast<std::uint64_t>(1000 + m), levels);
        for (const tie_rule& ties : all_tie_rules) {
          const auto expected = rounded<T>(calibrated(references, rewards, ties));
          for (const rank_algorithm algorithm : all_rank_algorithms)
            REQUIRE(same_bits(run_dense<C>(references, rewards, {ties, algorithm}), expected));
        }
      }
}

TEST_CASE_TEMPLATE("calibrate equals a brute-force count on ragged prompts", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const int levels : {0, 4}) {
    const auto references = make_prompts<T>({1, 33, 2, 17, 300, 5, 1, 64}, 5, levels);
    const auto rewards = make_prompts<T>({3, 0, 33, 1, 16, 100, 0, 8}, 6, levels);
    for (const tie_rule& ties : all_tie_rules) {
      const auto expected = rounded<T>(calibrated(references, rewards, ties));
      for (const rank_algorithm algorithm : all_rank_algorithms)
        REQUIRE(same_bits(run_ragged<C>(references, rewards, {ties, algorithm}), expected));
    }
  }
}

TEST_CASE_TEMPLATE("references, rewards and out may differ in view, stride and type", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t n = 5, k = 19, m = 7, gap = 3;
  const auto references = make_prompts<T>(std::vector<index_t>(n, k), 11, 5);
  const auto rewards = make_prompts<T>(std::vector<index_t>(n, m), 12, 5);
  // Between the rows lies what must be neither read (NaN) nor written (-9).
  const auto padded = [&](const prompts<T>& groups) {
    std::vector<T> values;
    for (const auto& p : groups) {
      values.insert(values.end(), p.begin(), p.end());
      values.insert(values.end(), gap, std::numeric_limits<T>::quiet_NaN());
    }
    return values;
  };
  typename C::backend on = C::make_backend();
  typename C::template array<T> z_strided(padded(references)), y_strided(padded(rewards)), z(packed(references)),
      y(packed(rewards));
  typename C::template array<index_t> offsets(offsets_of(std::vector<index_t>(n, m)));
  for (const rank_algorithm algorithm : all_rank_algorithms)
    for (const tie_rule& ties : all_tie_rules) {
      const auto expected = calibrated(references, rewards, ties);
      const calibration_options options{ties, algorithm};

      typename C::template array<T> strided(n * (m + gap), T(-9));
      infalign::calibrate(on, z_strided.rows(n, k, k + gap), y_strided.rows(n, m, m + gap), strided.rows(n, m, m + gap),
                          options);
      const std::vector<T> result = strided.host();
      for (index_t p = 0; p < n; ++p)
        for (index_t j = 0; j < m + gap; ++j) {
          const T value = result[static_cast<std::size_t>(p * (m + gap) + j)];
          REQUIRE(value == (j < m ? static_cast<T>(expected[static_cast<std::size_t>(p * m + j)]) : T(-9)));
        }

      typename C::template array<T> ragged(n * m, T(-9));
      infalign::calibrate(on, z_strided.rows(n, k, k + gap), y.rows(n, m), ragged.ragged(offsets), options);
      REQUIRE(same_bits(ragged.host(), rounded<T>(expected)));

      typename C::template array<double> wide(n * m, -9.0);
      infalign::calibrate(on, z.rows(n, k), y.ragged(offsets), wide.rows(n, m), options);
      REQUIRE(same_bits(wide.host(), expected));
      typename C::template array<float> narrow(n * m, -9.0f);
      infalign::calibrate(on, z.rows(n, k), y.ragged(offsets), narrow.rows(n, m), options);
      REQUIRE(same_bits(narrow.host(), rounded<float>(expected)));
    }
}

TEST_CASE_TEMPLATE("calibrate with no prompts and with no rollouts", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const rank_algorithm algorithm : all_rank_algorithms) {
    CHECK(run_ragged<C>(prompts<T>{}, prompts<T>{}, {{}, algorithm}).empty());
    CHECK(run_ragged<C>(prompts<T>{{1, 2}, {3}}, prompts<T>{{}, {}}, {{}, algorithm}).empty());
    typename C::backend on = C::make_backend();
    const infalign::rows<T, typename C::backend::memory_space> none;
    infalign::calibrate(on, none, none, none, {{}, algorithm});
  }
}

TEST_CASE_TEMPLATE("calibrate equals a count on large prompts", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const index_t k = 5000, m = 300;
  for (const int levels : {0, 2000}) {
    const auto references = make_prompts<T>({k, k}, 21, levels);
    auto rewards = make_prompts<T>({m, m}, 22, levels);
    std::copy_n(references[0].begin() + 10, 50, rewards[0].begin());
    const auto expected = rounded<T>(calibrated(references, rewards));
    for (const rank_algorithm algorithm : all_rank_algorithms)
      REQUIRE(same_bits(run_dense<C>(references, rewards, {{}, algorithm}), expected));
  }
}

TEST_CASE_TEMPLATE("counts are exact beyond what float can count to", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Twice the mid-rank is odd and above 2^24, where float knows even numbers only.
  const index_t k = draws((1 << 23) + (1 << 21)) + 3;
  std::vector<T> references(static_cast<std::size_t>(k));
  for (std::size_t i = 0; i < references.size(); ++i) references[i] = static_cast<T>(i % 1'000'003);
  references.back() = T(2'000'000);
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(references), y(std::vector<T>{T(2'000'000), T(1'000'001), T(3)});
  typename C::template array<double> u(3, -9.0);
  infalign::calibrate(on, z.rows(1, k), y.rows(1, 3), u.rows(1, 3), {{}, rank_algorithm::counting});
  const std::vector<T> rewards = y.host();
  for (std::size_t j = 0; j < 3; ++j) {
    index_t below = 0, tied = 0;
    for (const T reference : references) {
      below += reference < rewards[j] ? 1 : 0;
      tied += reference == rewards[j] ? 1 : 0;
    }
    CHECK(u.host()[j] == static_cast<double>(2 * below + tied) / static_cast<double>(2 * k));
  }
}

TEST_CASE_TEMPLATE("calibrate in place", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const rank_algorithm algorithm : all_rank_algorithms)
    for (const index_t m : {1, 7, 8, 9, 40}) {
      const auto references = make_prompts<T>({21, 21}, 31, 9);
      const auto rewards = make_prompts<T>({m, m}, 32, 9);
      typename C::backend on = C::make_backend();
      typename C::template array<T> z(packed(references)), y(packed(rewards));
      infalign::calibrate(on, z.rows(2, 21), y.rows(2, m), y.rows(2, m), {{}, algorithm});
      REQUIRE(same_bits(y.host(), rounded<T>(calibrated(references, rewards))));
    }
}

TEST_CASE_TEMPLATE("zeros of both signs are equal; denormals and the largest values are ordinary", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using limits = std::numeric_limits<T>;
  const T tiny = limits::denorm_min();
  const T most = limits::max();
  const prompts<T> references{{T(-0.0), T(0), tiny, T(-tiny), most, T(-most), limits::min(), T(1)}};
  const prompts<T> rewards{{T(0), T(-0.0), tiny, T(2) * tiny, T(-tiny), most, T(-most), T(0.5), limits::min()}};
  const auto expected = rounded<T>(calibrated(references, rewards));
  CHECK(expected[0] == T(3) / 8);
  CHECK(expected[1] == T(3) / 8);
  CHECK(expected[2] == T(4.5) / 8);
  for (const rank_algorithm algorithm : all_rank_algorithms)
    CHECK(same_bits(run_dense<C>(references, rewards, {{}, algorithm}), expected));
}

TEST_CASE_TEMPLATE("calibrated rewards do not change under strictly increasing maps", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Cubes of whole numbers below 250 are exact in float.
  const auto cube = [](prompts<T> groups) {
    for (auto& p : groups)
      for (T& r : p) r = (r - 100) * (r - 100) * (r - 100);
    return groups;
  };
  const auto references = make_prompts<T>({50, 31}, 41, 200);
  const auto rewards = make_prompts<T>({20, 9}, 42, 200);
  for (const tie_rule& ties : all_tie_rules)
    CHECK(same_bits(run_ragged<C>(references, rewards, {ties}), run_ragged<C>(cube(references), cube(rewards), {ties})));
}

TEST_CASE_TEMPLATE("rewards of the base policy are calibrated to a mean of one half", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Exactly so, over the references themselves: every pair is counted once from each side.
  const auto references = make_prompts<T>({64, 64, 64}, 51, 6);
  const auto u = run_dense<C>(references, references, {});
  for (std::size_t p = 0; p < 3; ++p) {
    double sum = 0;
    for (std::size_t j = 0; j < 64; ++j) sum += static_cast<double>(u[64 * p + j]);
    CHECK(sum == 32.0);
  }
}

TEST_CASE_TEMPLATE("randomised ties make calibrated rewards uniform under the base policy", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Rewards uniform on {0, 1, 2}, references in just these proportions: (below + V)/3 is exactly uniform. The bound is that of
  // Dvoretzky, Kiefer, Wolfowitz and Massart at a probability of 1e-9.
  const index_t n = 20'000;
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(std::vector<T>{2, 0, 1});
  typename C::template array<T> y(tied_values<T>(n, 61, 3));
  const auto sorted_with_seed = [&](std::uint64_t seed) {
    typename C::template array<double> u(n, -9.0);
    infalign::calibrate(on, z.rows(1, 3), y.rows(1, n), u.rows(1, n), {tie_rule::randomized(seed)});
    auto values = u.host();
    return values;
  };
  auto u = sorted_with_seed(1);
  CHECK(same_bits(u, sorted_with_seed(1)));
  CHECK_FALSE(same_bits(u, sorted_with_seed(2)));
  std::sort(u.begin(), u.end());
  double distance = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    distance = std::max(distance, std::abs(u[i] - static_cast<double>(i) / static_cast<double>(n)));
    distance = std::max(distance, std::abs(u[i] - static_cast<double>(i + 1) / static_cast<double>(n)));
  }
  CHECK(distance < std::sqrt(std::log(2e9) / (2 * static_cast<double>(n))));
  CHECK(u.front() >= 0);
  CHECK(u.back() < 1);
}

TEST_CASE_TEMPLATE("a randomised share belongs to a position, whatever the shape", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Six rewards as one prompt, as two, and ragged, all tied with all their references: the share alone.
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(6, T(1)), y(6, T(1));
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 1, 1, 6}), single(std::vector<index_t>{0, 2, 4, 6});
  typename C::template array<double> one(6, -9.0), two(6, -9.0), three(6, -9.0);
  const calibration_options options{tie_rule::randomized(9)};
  infalign::calibrate(on, z.rows(1, 6), y.rows(1, 6), one.rows(1, 6), options);
  infalign::calibrate(on, z.rows(2, 3), y.rows(2, 3), two.rows(2, 3), options);
  infalign::calibrate(on, z.ragged(single), y.ragged(offsets), three.ragged(offsets), options);
  std::vector<double> expected;
  for (index_t i = 0; i < 6; ++i) expected.push_back(tie_share(options.ties, i));
  CHECK(same_bits(one.host(), expected));
  CHECK(same_bits(two.host(), expected));
  CHECK(same_bits(three.host(), expected));
  // The last four as a batch of their own, which begins at position 2.
  typename C::template array<double> rest(4, -9.0);
  typename C::template array<T> last(4, T(1));
  infalign::calibrate(on, z.rows(1, 6), last.rows(1, 4), rest.rows(1, 4), {tie_rule::randomized(9, 2)});
  CHECK(same_bits(rest.host(), std::vector<double>(expected.begin() + 2, expected.end())));
}

TEST_CASE_TEMPLATE("a randomised share that is nearly 1 is stored below 1", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // Seed 5 has a share above 1 - 2^-25 at this position, which a float would round to 1, and a normal quantile make infinite.
  const tie_rule ties = tie_rule::randomized(5, 27'565'711);
  REQUIRE(tie_share(ties, 0) > 1 - 0x1.0p-25);
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(3, T(1)), y(1, T(1)), u(1, T(-9));
  for (const auto algorithm : {infalign::rank_algorithm::counting, infalign::rank_algorithm::sorting}) {
    infalign::calibrate_transform(on, z.rows(1, 3), y.rows(1, 1), infalign::normal_quantile(), u.rows(1, 1), {ties, algorithm});
    CHECK(std::isfinite(static_cast<double>(u.host()[0])));
    infalign::calibrate(on, z.rows(1, 3), y.rows(1, 1), u.rows(1, 1), {ties, algorithm});
    CHECK(u.host()[0] < T(1));
  }
}
