// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "infalign/objective/advantage/expected_reward.hpp"
#include "infalign/objective/advantage/leave_one_out.hpp"
#include "infalign/objective/advantage/max_at_k.hpp"
#include "infalign/objective/advantage/win_rate.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::order_statistic;
using infalign::standard;
using infalign::subset_baseline;
using infalign::worst_of;
namespace test = infalign::test;

namespace {

using numbers = std::vector<double>;

template <class T>
constexpr double rounding = 16 * static_cast<double>(std::numeric_limits<T>::epsilon());

/// The reward of rank `rank` among N, which is what a procedure serves.
struct served_rank {
  int rank, n;
  template <class Procedure>
  static served_rank of(const Procedure& procedure) {
    if constexpr (std::is_same_v<Procedure, best_of>)
      return {static_cast<int>(procedure.n), static_cast<int>(procedure.n)};
    else if constexpr (std::is_same_v<Procedure, worst_of>)
      return {1, static_cast<int>(procedure.n)};
    else if constexpr (std::is_same_v<Procedure, order_statistic>)
      return {static_cast<int>(procedure.rank), static_cast<int>(procedure.n)};
    else
      return {1, 1};
  }
};

/// Calls `use(subset, members)` for every subset of `size` values, a bit a value.
template <class Use>
void for_each_subset(const numbers& values, int size, const Use& use) {
  for (unsigned bits = 0; bits < 1u << values.size(); ++bits) {
    numbers members;
    for (std::size_t i = 0; i < values.size(); ++i)
      if ((bits >> i & 1u) != 0) members.push_back(values[i]);
    if (static_cast<int>(members.size()) == size) use(bits, members);
  }
}

double served(numbers members, int rank) {
  std::sort(members.begin(), members.end());
  return members[static_cast<std::size_t>(rank - 1)];
}

/// The probability to beat what is served of the base samples, over all their subsets.
double wins(double y, const numbers& base, served_rank rule) {
  double sum = 0, subsets = 0;
  for_each_subset(base, rule.n, [&](unsigned, const numbers& members) {
    const double z = served(members, rule.rank);
    sum += y > z ? 1 : y == z ? 0.5 : 0;
    ++subsets;
  });
  return sum / subsets;
}

/// `m·(1/binom(m,N))·Σ_{I∋i} (worth of what is served of I - baseline)`, by going through all subsets; the baseline is the mean
/// over those that do not hold i.
template <class Worth>
numbers by_subsets(const numbers& y, served_rank rule, bool baseline, const Worth& worth) {
  numbers all(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    double with = 0, without = 0, subsets_with = 0, subsets_without = 0;
    for_each_subset(y, rule.n, [&](unsigned bits, const numbers& members) {
      const bool holds = (bits >> i & 1u) != 0;
      (holds ? with : without) += worth(served(members, rule.rank));
      (holds ? subsets_with : subsets_without) += 1;
    });
    all[i] = rule.n * (with / subsets_with - (baseline ? without / subsets_without : 0));
  }
  return all;
}

template <class T>
numbers as_double(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

template <class T>
void check_near(const std::vector<T>& actual, const numbers& expected, std::size_t first = 0) {
  REQUIRE(actual.size() >= first + expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(static_cast<double>(actual[first + i]) - expected[i]) <= rounding<T> * 10);
  }
}

/// Groups with ties and without.
template <class T>
std::vector<std::vector<T>> small_groups() {
  return {{T(3), T(1), T(2), T(1), T(5)}, {T(0), T(1), T(1), T(0)}, {T(-1), T(0.5), T(-1), T(-1), T(4), T(4), T(2)}};
}

}  // namespace

TEST_CASE_TEMPLATE("the gradient of what procedures serve, by all subsets", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto groups = small_groups<T>();
  std::vector<T> values, base{T(1), T(0), T(4), T(2), T(1), T(1), T(3), T(3), T(0), T(4), T(1), T(2)};
  std::vector<index_t> sizes;
  for (const auto& y : groups) {
    values.insert(values.end(), y.begin(), y.end());
    sizes.push_back(static_cast<index_t>(y.size()));
  }
  typename C::template array<index_t> offsets(test::offsets_of(sizes));
  typename C::template array<T> rewards(values), out(static_cast<index_t>(values.size())), references(base);
  const auto check = [&](const auto& procedure, const auto& base_procedure) {
    const served_rank rule = served_rank::of(procedure), base_rule = served_rank::of(base_procedure);
    for (const auto baseline : {subset_baseline::none, subset_baseline::leave_one_out}) {
      const bool left_out = baseline == subset_baseline::leave_one_out;
      infalign::expected_reward_advantage(on, rewards.ragged(offsets), procedure, out.ragged(offsets), baseline);
      const auto of_reward = out.host();
      infalign::win_rate_advantage(on, rewards.ragged(offsets), references.rows(3, 4), procedure, base_procedure,
                                   out.ragged(offsets), baseline);
      const auto of_wins = out.host();
      std::size_t first = 0;
      for (std::size_t g = 0; g < groups.size(); ++g) {
        const numbers y = as_double(groups[g]),
                      z = as_double(std::vector<T>(base.begin() + static_cast<std::ptrdiff_t>(4 * g),
                                                   base.begin() + static_cast<std::ptrdiff_t>(4 * g + 4)));
        check_near(of_reward, by_subsets(y, rule, left_out, [](double t) { return t; }), first);
        check_near(of_wins, by_subsets(y, rule, left_out, [&](double t) { return wins(t, z, base_rule); }), first);
        first += y.size();
      }
    }
  };
  check(standard(), standard());
  check(best_of(2), worst_of(3));
  check(worst_of(2), best_of(4));
  check(order_statistic(2, 3), order_statistic(2, 3));
  // Rows take their weights from one table, and results may overwrite rewards.
  typename C::template array<T> same(values), again(values);
  infalign::win_rate_advantage(on, same.rows(2, 5, 8), references.rows(2, 6), best_of(4), standard(), same.rows(2, 5, 8));
  const numbers y0 = as_double(std::vector<T>(values.begin() + 8, values.begin() + 13));
  const numbers z0 = as_double(std::vector<T>(base.begin() + 6, base.end()));
  check_near(same.host(), by_subsets(y0, {4, 4}, true, [&](double t) { return wins(t, z0, {1, 1}); }), 8);
  CHECK(same.host()[6] == values[6]);
}

TEST_CASE_TEMPLATE("PKPO's weights and both of its baselines, by all subsets", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const auto& group : small_groups<T>())
    for (int k = 2; k <= static_cast<int>(group.size()); ++k) {
      const auto n = static_cast<index_t>(group.size());
      typename C::template array<T> rewards(group), out(n);
      infalign::max_at_k_advantage(on, rewards.rows(1, n), k, out.rows(1, n));
      const numbers y = as_double(group);
      numbers expected(y.size(), 0.0);
      double subsets = 0;
      for_each_subset(y, k, [&](unsigned bits, const numbers& members) {
        ++subsets;
        for (std::size_t i = 0; i < y.size(); ++i) {
          if ((bits >> i & 1u) == 0) continue;
          numbers others;
          for (std::size_t j = 0; j < y.size(); ++j)
            if (j != i && (bits >> j & 1u) != 0) others.push_back(y[j]);
          expected[i] += served(members, k) - served(others, k - 1);
        }
      });
      for (double& a : expected) a *= static_cast<double>(n) / subsets;
      check_near(out.host(), expected);
    }
}

TEST_CASE_TEMPLATE("one sample served: the rewards, and RLOO", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : {2, 3, 15, 16, 17, 33}) {
    const auto values = test::normal_values<T>(3 * n, static_cast<std::uint64_t>(n));
    typename C::template array<T> rewards(values), out(3 * n), rloo(3 * n);
    infalign::leave_one_out_advantage(on, rewards.rows(3, n), rloo.rows(3, n));
    infalign::expected_reward_advantage(on, rewards.rows(3, n), standard(), out.rows(3, n));
    check_near(out.host(), as_double(rloo.host()));
    infalign::expected_reward_advantage(on, rewards.rows(3, n), best_of(1), out.rows(3, n), subset_baseline::none);
    check_near(out.host(), as_double(values));
  }
  typename C::template array<T> tied(10, T(0.1)), out(10, T(-9));
  infalign::expected_reward_advantage(on, tied.rows(2, 5), best_of(3), out.rows(2, 5));
  CHECK(out.host() == std::vector<T>(10, T(0)));
  infalign::max_at_k_advantage(on, tied.rows(2, 5), 3, out.rows(2, 5));
  CHECK(out.host() == std::vector<T>(10, T(0)));
}

namespace {

/// A softmax policy over four responses of rewards 0, 1, 1, 2, and a base policy over the same.
struct tiny_world {
  static constexpr std::array<double, 4> reward{0, 1, 1, 2}, policy{0.4, 0.2, 0.3, 0.1}, base{0.25, 0.35, 0.15, 0.25};

  static double cdf(const std::array<double, 4>& of, double t) {
    double sum = 0;
    for (std::size_t j = 0; j < 4; ++j) sum += reward[j] <= t ? of[j] : 0;
    return sum;
  }
  /// The derivative of the win rate with respect to the logit of response `j`: with `dF(t) = π_j·(1[r_j ≤ t] - F(t))`.
  template <class Procedure, class BaseProcedure>
  static double gradient(const Procedure& procedure, const BaseProcedure& base_procedure, std::size_t j) {
    double sum = 0, below = 0, base_below = 0;
    for (const double t : {0., 1., 2.}) {
      const double f = cdf(policy, t), q = base_procedure.distortion(std::min(1., cdf(base, t)));
      const double change = t == 2 ? 0 : procedure.density(f) * policy[j] * ((reward[j] <= t ? 1 : 0) - f);
      sum += (change - below) * (base_below + q) / 2;
      below = change;
      base_below = q;
    }
    return sum;
  }
};

/// Mean and second moment of the estimated gradient over all samples that there can be: m of the policy and k of the base.
template <class C, class Procedure, class BaseProcedure>
std::array<numbers, 2> moments(const Procedure& procedure, const BaseProcedure& base_procedure, subset_baseline baseline) {
  using T = typename C::value;
  constexpr std::size_t m = 3, k = 2, cases = 1024;
  typename C::backend on = C::make_backend();
  std::vector<T> y, z;
  for (std::size_t c = 0; c < cases; ++c) {
    for (std::size_t i = 0; i < m; ++i) y.push_back(static_cast<T>(tiny_world::reward[c >> (2 * i) & 3]));
    for (std::size_t i = m; i < m + k; ++i) z.push_back(static_cast<T>(tiny_world::reward[c >> (2 * i) & 3]));
  }
  typename C::template array<T> policy(y), base(z), out(m * cases);
  infalign::win_rate_advantage(on, policy.rows(cases, m), base.rows(cases, k), procedure, base_procedure, out.rows(cases, m),
                               baseline);
  const auto advantages = out.host();
  std::array<numbers, 2> result{numbers(4), numbers(4)};
  for (std::size_t c = 0; c < cases; ++c) {
    double probability = 1;
    for (std::size_t i = 0; i < m + k; ++i) {
      const std::size_t response = c >> (2 * i) & 3;
      probability *= i < m ? tiny_world::policy[response] : tiny_world::base[response];
    }
    for (std::size_t j = 0; j < 4; ++j) {
      double estimate = 0;
      for (std::size_t i = 0; i < m; ++i)
        estimate +=
            static_cast<double>(advantages[c * m + i]) * (((c >> (2 * i) & 3) == j ? 1 : 0) - tiny_world::policy[j]) / m;
      result[0][j] += probability * estimate;
      result[1][j] += probability * estimate * estimate;
    }
  }
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("the gradient of the win rate is unbiased, by enumeration", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const double tolerance = std::is_same_v<T, double> ? 1e-12 : 1e-6;
  // What the baseline leaves of the variance, as the docstring of `win_rate_advantage` tabulates.
  const auto check = [&](const auto& procedure, const auto& base_procedure, double left) {
    const auto plain = moments<C>(procedure, base_procedure, subset_baseline::none);
    const auto with = moments<C>(procedure, base_procedure, subset_baseline::leave_one_out);
    double variance = 0, variance_with = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const double exact = tiny_world::gradient(procedure, base_procedure, j);
      CHECK(std::abs(plain[0][j] - exact) <= tolerance);
      CHECK(std::abs(with[0][j] - exact) <= tolerance);
      variance += plain[1][j] - exact * exact;
      variance_with += with[1][j] - exact * exact;
    }
    CHECK(variance_with / variance == doctest::Approx(left).epsilon(0.005));
  };
  check(standard(), standard(), 0.342);
  check(best_of(2), best_of(2), 0.345);
  check(worst_of(2), worst_of(2), 0.185);
  check(best_of(2), worst_of(2), 0.163);
  check(order_statistic(2, 2), standard(), 0.219);
}

TEST_CASE_TEMPLATE("what these advantages refuse, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> r(6, T(1)), z(4, T(0)), out(6, T(-9));
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { infalign::expected_reward_advantage(on, r.rows(2, 3), best_of(3), out.rows(2, 3)); }) ==
        "expected_reward_advantage: rewards[0] has 3 values, fewer than the 4 that its procedure and baseline take");
  CHECK(message([&] { infalign::max_at_k_advantage(on, r.rows(2, 3), 4, out.rows(2, 3)); }) ==
        "max_at_k_advantage: rewards[0] has 3 values, fewer than k = 4");
  CHECK(message([&] { infalign::max_at_k_advantage(on, r.rows(2, 3), 1, out.rows(2, 3)); }) ==
        "max_at_k_advantage: k is 1, must be at least 2");
  CHECK(message([&] {
          infalign::win_rate_advantage(on, r.rows(2, 3), z.rows(2, 2), best_of(2), best_of(3), out.rows(2, 3));
        }) == "win_rate_advantage: base_rewards[0] has 2 values, fewer than the 3 that its procedure draws");
  CHECK(message([&] {
          infalign::win_rate_advantage(on, r.rows(2, 3), z.rows(1, 4), standard(), standard(), out.rows(2, 3));
        }) == "win_rate_advantage: base_rewards has 1 groups, but rewards has 2");
  CHECK(out.host() == std::vector<T>(6, T(-9)));
  CHECK_NOTHROW(infalign::win_rate_advantage(on, r.rows(0, 3), z.rows(0, 4), standard(), standard(), out.rows(0, 3)));
}
