// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/advantage/pass_at_k.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "infalign/objective/advantage/best_sample.hpp"
#include "infalign/objective/advantage/max_at_k.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
namespace test = infalign::test;

namespace {

/// The mean of `(R_I - R)/σ` over the k-subsets that hold each rollout, where `R_I` is 1 if one of the subset passes.
std::vector<double> by_subsets(unsigned passed, int n, int k) {
  std::vector<double> sum(static_cast<std::size_t>(n), 0.0);
  double subsets = 0, good = 0;
  for (unsigned bits = 0; bits < 1u << n; ++bits) {
    if (std::popcount(bits) != k) continue;
    ++subsets;
    good += (bits & passed) != 0;
  }
  const double mean = good / subsets, sd = std::sqrt(mean * (1 - mean));
  for (unsigned bits = 0; bits < 1u << n; ++bits)
    for (int i = 0; i < n; ++i)
      if (std::popcount(bits) == k && (bits >> i & 1u) != 0 && sd > 0)
        sum[static_cast<std::size_t>(i)] += (((bits & passed) != 0) - mean) / sd / (subsets * k / n);
  return sum;
}

}  // namespace

TEST_CASE_TEMPLATE("analytic pass@k is the mean over all subsets", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const double rounding = 16 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const int n : {1, 2, 5, 7}) {
    std::vector<T> verdicts;
    const auto cases = index_t{1} << n;
    for (unsigned passed = 0; passed < 1u << n; ++passed)
      for (int i = 0; i < n; ++i) verdicts.push_back(static_cast<T>(passed >> i & 1u));
    for (int k = 1; k <= n; ++k) {
      typename C::template array<T> rewards(verdicts), out(cases * n);
      infalign::pass_at_k_advantage(on, rewards.rows(cases, n), k, out.rows(cases, n));
      const auto actual = out.host();
      double error = 0;
      for (unsigned passed = 0; passed < 1u << n; ++passed) {
        const auto expected = by_subsets(passed, n, k);
        for (std::size_t i = 0; i < expected.size(); ++i)
          error = test::larger(error, std::abs(static_cast<double>(actual[passed * expected.size() + i]) - expected[i]));
      }
      CHECK(error <= rounding);
    }
  }
  typename C::template array<T> bad(std::vector<T>{T(0), T(1), T(0.5), T(1)}), out(4);
  CHECK(test::message_of<infalign::domain_error>([&] {
          infalign::pass_at_k_advantage(on, bad.rows(2, 2), 2, out.rows(2, 2));
        }) == "pass_at_k_advantage: rewards[1][0] is 0.5, must be 0 or 1");
  CHECK(test::message_of<infalign::shape_error>([&] {
          infalign::pass_at_k_advantage(on, bad.rows(2, 2), 3, out.rows(2, 2));
        }) == "pass_at_k_advantage: rewards[0] has 2 values, fewer than k = 3");
}

TEST_CASE_TEMPLATE("the best sample alone has an advantage", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto advantages = [&](std::vector<T> values, const infalign::best_sample_options& options) {
    const auto n = static_cast<index_t>(values.size());
    typename C::template array<T> rewards(std::move(values));
    infalign::best_sample_advantage(on, rewards.rows(1, n), rewards.rows(1, n), options);
    return rewards.host();
  };
  using infalign::best_over;
  const auto near = [](double x) { return doctest::Approx(x).epsilon(1e-6); };
  // verl's grpo_passk by NumPy: (2.2 - 1.7)/(1.0454664..+1e-6).
  auto a = advantages({T(0.3), T(1.7), T(-0.4), T(2.2), T(0.9)}, {});
  CHECK(static_cast<double>(a[3]) == near(0.5 / (1.0454664 + 1e-6)));
  CHECK((a[0] == 0 && a[1] == 0 && a[2] == 0 && a[4] == 0));
  CHECK(advantages({T(4), T(1), T(2)}, {.normalized = false}) == std::vector<T>{2, 0, 0});
  CHECK(advantages({T(1), T(4), T(4)}, {.normalized = false}) == std::vector<T>{0, 0, 0});
  CHECK(advantages({T(1), T(4), T(4)}, {.over = best_over::mean, .normalized = false}) == std::vector<T>{0, 1, 0});
  CHECK(advantages(std::vector<T>(5, T(0.1)), {}) == std::vector<T>(5, T(0)));
  CHECK(advantages({T(1e6), T(1e6) + T(0.0625)}, {.normalized = false}) == std::vector<T>{0, T(0.0625)});
  // Where k is the size of the group, PKPO has the same, times the size.
  const auto values = test::normal_values<T>(34, 5);
  typename C::template array<T> rewards(values), of_pkpo(34), out(34);
  infalign::max_at_k_advantage(on, rewards.rows(2, 17), 17, of_pkpo.rows(2, 17));
  infalign::best_sample_advantage(on, rewards.rows(2, 17), out.rows(2, 17), {.normalized = false});
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(static_cast<double>(of_pkpo.host()[i]) == near(17 * static_cast<double>(out.host()[i])));
}
