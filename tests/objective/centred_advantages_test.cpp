// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "infalign/objective/advantage/greedy_baseline.hpp"
#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/leave_one_out.hpp"
#include "infalign/objective/advantage/length_weighted.hpp"
#include "infalign/objective/advantage/mean_centred.hpp"
#include "infalign/objective/advantage/mean_normalized.hpp"
#include "infalign/objective/advantage/nonzero_scaled.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::missing_reward;
namespace test = infalign::test;

namespace {

/// Rewards in groups of `n`, and what a call makes of them.
template <class C, class Call>
std::vector<typename C::value> advantages(const std::vector<typename C::value>& values, index_t n, const Call& call) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> rewards(values), out(static_cast<index_t>(values.size()), T(-99));
  const index_t groups = static_cast<index_t>(values.size()) / n;
  call(on, rewards.rows(groups, n), out.rows(groups, n));
  return out.host();
}

template <class T>
void check_scaled(const std::vector<T>& actual, const std::vector<double>& expected, double scale = 1) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(static_cast<double>(actual[i]) - expected[i]) <=
          8 * scale * static_cast<double>(std::numeric_limits<T>::epsilon()));
  }
}

constexpr auto mean_centred = [](auto& on, auto r, auto out) { infalign::mean_centred_advantage(on, r, out); };
constexpr auto leave_one_out = [](auto& on, auto r, auto out) { infalign::leave_one_out_advantage(on, r, out); };
constexpr auto bessel = [](auto& on, auto r, auto out) { infalign::group_normalized_advantage(on, r, out, {.epsilon = 1e-6}); };
constexpr auto population = [](auto& on, auto r, auto out) {
  infalign::group_normalized_advantage(on, r, out, {.epsilon = 1e-6, .spread = infalign::deviation::population});
};
constexpr auto nonzero_scaled = [](auto& on, auto r, auto out) { infalign::nonzero_scaled_advantage(on, r, out); };
constexpr auto mean_normalized = [](auto& on, auto r, auto out) { infalign::mean_normalized_advantage(on, r, out); };

}  // namespace

TEST_CASE_TEMPLATE("advantages over a mean, by NumPy", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const std::vector<T> r{T(0.3), T(1.7), T(-0.4), T(2.2), T(0.9)};
  check_scaled(advantages<C>(r, 5, mean_centred), {-0.64, 0.76, -1.34, 1.26, -0.04}, 2);
  check_scaled(advantages<C>(r, 5, leave_one_out), {-0.8, 0.95, -1.675, 1.575, -0.05}, 2);
  check_scaled(advantages<C>(r, 5, bessel),
               {-0.6121663842463777, 0.7269475812925732, -1.281723367015853, 1.205202568985056, -0.03826039901539863}, 2);
  check_scaled(advantages<C>(r, 5, population),
               {-0.6844227470857795, 0.812752012164363, -1.4330101267108508, 1.3474572833251284, -0.04277642169286125}, 2);
  check_scaled(advantages<C>({T(1), T(0), T(0), T(1), T(0), T(0), T(0)}, 7, mean_normalized),
               {2.499991250030625, -0.99999650001225, -0.99999650001225, 2.499991250030625, -0.99999650001225,
                -0.99999650001225, -0.99999650001225},
               2);
  // Three of eight rewards are not 0; the means are 1 and 0.5.
  check_scaled(advantages<C>({T(4), T(0), T(0), T(0), T(3), T(-1), T(0), T(0)}, 4, nonzero_scaled),
               {8, -8. / 3, -8. / 3, -8. / 3, 20. / 3, -4, -4. / 3, -4. / 3}, 8);
}

TEST_CASE_TEMPLATE("a baseline weighted by lengths, and one by greedy decoding", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> rewards(std::vector<T>{T(0.3), T(1.7), T(-0.4), T(2.2), T(0.9), T(5), T(7), T(5)});
  typename C::template array<T> out(8), greedy(std::vector<T>{T(1), T(6)});
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 5, 8});
  typename C::template array<std::int32_t> lengths(std::vector<std::int32_t>{3, 10, 1, 7, 4, 0, 0, 0});
  infalign::length_weighted_advantage(on, rewards.ragged(offsets), lengths.ragged(offsets), out.ragged(offsets));
  check_scaled(out.host(), {-1.16, 0.24, -1.86, 0.74, -0.56, 5, 7, 5}, 8);
  infalign::greedy_baseline_advantage(on, rewards.ragged(offsets), greedy.span(), out.ragged(offsets));
  check_scaled(out.host(), {-0.7, 0.7, -1.4, 1.2, -0.1, -1, 1, -1}, 2);
  CHECK(test::message_of<infalign::shape_error>([&] {
          infalign::greedy_baseline_advantage(on, rewards.rows(4, 2), greedy.span(), out.rows(4, 2));
        }) == "greedy_baseline_advantage: greedy has 2 values, but rewards has 4 groups");
  typename C::template array<std::int32_t> negative(std::vector<std::int32_t>{1, 1, 1, -1});
  CHECK(test::message_of<infalign::domain_error>([&] {
          infalign::length_weighted_advantage(on, rewards.rows(2, 2), negative.rows(2, 2), out.rows(2, 2));
        }) == "length_weighted_advantage: lengths[1][1] is -1, must be finite and not negative");
}

// NeMo-RL #1518 and #4161: the deviation of a group from E[x²] - E[x]² in float.
TEST_CASE_TEMPLATE("rewards of a small spread around a large mean keep their deviations", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  // float has a step of 1/16 at a million, double one of 1.2e-10.
  const T step = std::is_same_v<T, float> ? T(0.0625) : T(0.0078125);
  for (const T mean : {T(1e6), T(-1e6)}) {
    const std::vector<T> r{mean, mean + step, mean, mean + 3 * step};
    const auto h = static_cast<double>(step), sd = h * std::sqrt(2.);
    check_scaled(advantages<C>(r, 4, mean_centred), {-h, 0, -h, 2 * h}, h);
    check_scaled(advantages<C>(r, 4, leave_one_out), {-h * 4 / 3, 0, -h * 4 / 3, h * 8 / 3}, h);
    check_scaled(advantages<C>(r, 4, bessel), {-h / (sd + 1e-6), 0, -h / (sd + 1e-6), 2 * h / (sd + 1e-6)});
    check_scaled(advantages<C>({mean, mean + step}, 2, mean_centred), {-h / 2, h / 2}, h);
  }
}

// TRL #3758 and #6367, verl #6348: a deviation of 0, or of rounding alone, in the denominator.
TEST_CASE_TEMPLATE("rewards that are all equal have advantages of exactly zero", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t n : {2, 3, 5, 7, 16, 17, 33})
    for (const T value : {T(0), T(0.1), T(1) / T(3), T(1e6) + T(0.3), T(1e30), std::numeric_limits<T>::denorm_min()}) {
      const std::vector<T> tied(static_cast<std::size_t>(2 * n), value), zero(static_cast<std::size_t>(2 * n), T(0));
      CHECK(advantages<C>(tied, n, mean_centred) == zero);
      CHECK(advantages<C>(tied, n, leave_one_out) == zero);
      CHECK(advantages<C>(tied, n, bessel) == zero);
      CHECK(advantages<C>(tied, n, population) == zero);
      CHECK(advantages<C>(tied, n, mean_normalized) == zero);
      CHECK(advantages<C>(tied, n, nonzero_scaled) == zero);
      CHECK(advantages<C>(tied, n, [n](auto& on, auto r, auto out) {
              typename C::template array<T> lengths(2 * n, T(3));
              infalign::length_weighted_advantage(on, r, lengths.rows(2, n), out);
            }) == zero);
    }
}

// verl #7581 and #7794: two paths that disagree about groups of one.
TEST_CASE_TEMPLATE("a group of one: refused, nothing, or its reward", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using infalign::group_of_one;
  const std::vector<T> r{T(3), T(-0.5)};
  const auto all = [&](group_of_one single) {
    return std::vector{
        advantages<C>(r, 1, [&](auto& on, auto a, auto b) { infalign::mean_centred_advantage(on, a, b, {.single = single}); }),
        advantages<C>(r, 1, [&](auto& on, auto a, auto b) { infalign::leave_one_out_advantage(on, a, b, {.single = single}); }),
        advantages<C>(r, 1, [&](auto& on, auto a, auto b) {
          infalign::group_normalized_advantage(on, a, b, {.epsilon = 1, .single = single});
        })};
  };
  CHECK(all(group_of_one::zero) == std::vector(3, std::vector<T>{0, 0}));
  CHECK(all(group_of_one::uncentred) == std::vector{r, r, {T(1.5), T(-0.25)}});
  CHECK(test::message_of<infalign::shape_error>([&] { all(group_of_one::refused); }) ==
        "mean_centred_advantage: rewards[0] has 1 values, a mean to compare with needs at least two");
}

// TRL #5773 and #5775: NaN rewards spoil a group.
TEST_CASE_TEMPLATE("a rollout without a reward: refused, left out, or scored", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  // One is missing; one is left; none is left.
  const std::vector<T> r{T(1), nan, T(2), T(6), nan, nan, T(5), nan, nan, nan, nan, nan};
  const auto with = [&](missing_reward missing) {
    return std::vector{
        advantages<C>(r, 4,
                      [&](auto& on, auto a, auto b) { infalign::mean_centred_advantage(on, a, b, {.missing = missing}); }),
        advantages<C>(r, 4,
                      [&](auto& on, auto a, auto b) { infalign::leave_one_out_advantage(on, a, b, {.missing = missing}); }),
        advantages<C>(r, 4,
                      [&](auto& on, auto a, auto b) {
                        infalign::group_normalized_advantage(on, a, b, {.epsilon = 1e-9, .missing = missing});
                      }),
        advantages<C>(r, 4,
                      [&](auto& on, auto a, auto b) { infalign::nonzero_scaled_advantage(on, a, b, {.missing = missing}); }),
        advantages<C>(r, 4, [&](auto& on, auto a, auto b) { infalign::mean_normalized_advantage(on, a, b, 1, missing); })};
  };
  const double sd = std::sqrt(7.) + 1e-9;
  const auto left_out = with(missing_reward::left_out());
  check_scaled(left_out[0], {-2, 0, -1, 3, 0, 0, 0, 0, 0, 0, 0, 0});
  check_scaled(left_out[1], {-3, 0, -1.5, 4.5, 0, 0, 0, 0, 0, 0, 0, 0}, 4);
  check_scaled(left_out[2], {-2 / sd, 0, -1 / sd, 3 / sd, 0, 0, 0, 0, 0, 0, 0, 0}, 2);
  CHECK(left_out[3] == left_out[0]);  // all four rewards that there are are not 0
  check_scaled(left_out[4], {-.5, 0, -.25, .75, 0, 0, 0, 0, 0, 0, 0, 0});
  const auto scored = with(missing_reward::scored(3));
  check_scaled(scored[0], {-2, 0, -1, 3, -.5, -.5, 1.5, -.5, 0, 0, 0, 0});
  check_scaled(scored[1], {-8. / 3, 0, -4. / 3, 4, -2. / 3, -2. / 3, 2, -2. / 3, 0, 0, 0, 0}, 4);
  const auto refused = test::message_of<infalign::domain_error>([&] { with(missing_reward::refused()); });
  CHECK(refused == "mean_centred_advantage: rewards[0][1] is nan, must be finite");
  CHECK(test::message_of<infalign::domain_error>([&] {
          advantages<C>({T(1), infalign::infinity<T>, nan}, 3, [&](auto& on, auto a, auto b) {
            infalign::leave_one_out_advantage(on, a, b, {.missing = missing_reward::left_out()});
          });
        }) == "leave_one_out_advantage: rewards[0][1] is inf, must be finite or NaN");
  CHECK(test::message_of<infalign::domain_error>([] { missing_reward::scored(std::nan("")); }) ==
        "missing_reward: reward is nan, must be finite");
}

TEST_CASE_TEMPLATE("MaxRL climbs the sum of pass@k/k, by enumeration", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  constexpr index_t n = 5, outcomes = 32;
  std::vector<T> rewards;
  for (index_t o = 0; o < outcomes; ++o)
    for (index_t i = 0; i < n; ++i) rewards.push_back(static_cast<T>((o >> i) & 1));
  const auto a =
      advantages<C>(rewards, n, [](auto& on, auto r, auto out) { infalign::mean_normalized_advantage(on, r, out, 1e-15); });
  const double p = 0.3;
  double gradient = 0, expected = 0;
  for (std::size_t o = 0; o < outcomes; ++o) {
    double probability = 1, sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const bool passes = ((o >> i) & 1) != 0;
      probability *= passes ? p : 1 - p;
      sum += static_cast<double>(a[o * n + i]) * (passes ? 1 / p : -1 / (1 - p));
    }
    gradient += probability * sum / n;
  }
  for (int k = 1; k < n; ++k) expected += std::pow(1 - p, k - 1);
  // The ε of 1e-15 stands beside a mean of at least 0.2.
  CHECK(std::abs(gradient - expected) <= expected * (5e-15 + 8 * static_cast<double>(std::numeric_limits<T>::epsilon())));
  CHECK(test::message_of<infalign::domain_error>([&] {
          advantages<C>({T(1), T(-1)}, 2, mean_normalized);
        }) == "mean_normalized_advantage: rewards[0][1] is -1, must be not negative");
}
