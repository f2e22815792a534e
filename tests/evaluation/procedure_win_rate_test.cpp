// SPDX-License-Identifier: Apache-2.0
#include "infalign/evaluation/procedure_win_rate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "evaluation/win_rates.hpp"
#include "support/configurations.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::procedure_win_rate;
using infalign::rank_algorithm;
using infalign::standard;
using infalign::worst_of;
namespace test = infalign::test;
using test::both;
using test::dense_win_rate;
using test::groups;
using test::ragged_win_rate;
using test::tied_prompts;

namespace {

/// A procedure that has only its distortion: the best of `1 + Poisson(mean)` samples.
struct best_of_poisson {
  double mean;
  [[nodiscard]] INFALIGN_HD double distortion(double q) const {
    using std::exp;
    return q * exp(mean * (q - 1));
  }
};

}  // namespace

TEST_CASE_TEMPLATE("both algorithms agree, dense and ragged, around the register widths", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t m : {2, 3, 15, 16, 17, 33, 100})
    for (const index_t k : {2, 7, 8, 31, 64, 65}) {
      const groups<T> policy = tied_prompts<T>({m, m, m}, 10, 12);
      const groups<T> base = tied_prompts<T>({k, k, k}, 20, 12);
      const auto counting = dense_win_rate<C>(policy, base, best_of(2), worst_of(2), rank_algorithm::counting);
      const auto sorting = dense_win_rate<C>(policy, base, best_of(2), worst_of(2), rank_algorithm::sorting);
      const auto automatic = dense_win_rate<C>(policy, base, best_of(2), worst_of(2), rank_algorithm::automatic);
      const auto ragged = ragged_win_rate<C>(policy, base, best_of(2), worst_of(2), rank_algorithm::counting);
      for (std::size_t p = 0; p < 3; ++p) {
        // Sums of m terms that add to at most 1, in different orders.
        const double rounding = 4e-16 * static_cast<double>(m);
        CHECK(std::abs(counting[p] - sorting[p]) <= rounding);
        CHECK(std::abs(counting[p] - automatic[p]) <= rounding);
        CHECK(counting[p] == ragged[p]);
      }
    }
}

TEST_CASE_TEMPLATE("an infinite reward that nobody looked for has nothing above it", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::template array<T> y(std::vector<T>{1, 2, infalign::infinity<T>, 3, 0}), z(std::vector<T>{0, 1, 2, 3, 4});
  for (const auto algorithm : {rank_algorithm::counting, rank_algorithm::sorting}) {
    typename C::template array<double> out(1);
    auto on = C::make_backend().unchecked();
    infalign::procedure_win_rate(on, y.rows(1, 5), z.rows(1, 5), best_of(2), best_of(2), out.span(), algorithm);
    // The best of two is 1, 2, 3, ∞ with 0.1, 0.2, 0.3, 0.4, the base's 1, 2, 3, 4: 0.1·0.05 + 0.2·0.2 + 0.3·0.45 + 0.4
    CHECK(std::abs(out.host()[0] - 0.58) <= 1e-15);
  }
}

TEST_CASE_TEMPLATE("the standard win rate is the Mann-Whitney statistic", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t m = 37, k = 53;
  const auto policy = test::tied_values<T>(m, 1, 20);
  const auto base = test::tied_values<T>(k, 2, 20);
  long long twice_wins = 0;
  for (const T y : policy)
    for (const T z : base) twice_wins += y > z ? 2 : y == z ? 1 : 0;
  typename C::template array<T> y(policy), z(base);
  typename C::template array<double> out(1, -1.0);
  infalign::standard_win_rate(on, y.rows(1, m), z.rows(1, k), out.span());
  CHECK(std::abs(out.host()[0] - static_cast<double>(twice_wins) / static_cast<double>(2 * m * k)) <= 1e-14);
}

TEST_CASE_TEMPLATE("more base samples than a float lane counts exactly", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  // Counts are carried over to double after 2^22 samples. The last three decide.
  const index_t k = (index_t{1} << 22) + 3;
  std::vector<T> base(static_cast<std::size_t>(k), T(1));
  base[static_cast<std::size_t>(k - 1)] = base[static_cast<std::size_t>(k - 2)] = T(3);
  base[static_cast<std::size_t>(k - 3)] = T(2);
  typename C::template array<T> y(std::vector<T>{2}), z(base);
  typename C::template array<double> out(1, -1.0);
  infalign::standard_win_rate(on, y.rows(1, 1), z.rows(1, k), out.span());
  CHECK(out.host()[0] == doctest::Approx((static_cast<double>(k - 3) + 0.5) / static_cast<double>(k)).epsilon(1e-15));
}

TEST_CASE_TEMPLATE("a million samples and as large an N", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto check = [&](index_t m, const auto& procedure, double expected) {
    // Policy 2i+1, base 2i, in a shuffled order: every policy sample just above its partner.
    std::vector<T> odd(static_cast<std::size_t>(m)), even(static_cast<std::size_t>(m));
    for (index_t i = 0; i < m; ++i) {
      const auto place = static_cast<std::size_t>(i * 7919 % m);
      odd[place] = static_cast<T>(2 * i + 1);
      even[place] = static_cast<T>(2 * i);
    }
    typename C::template array<T> policy(odd), base(even);
    typename C::template array<double> out(1, -1.0);
    procedure_win_rate(on, policy.rows(1, m), base.rows(1, m), procedure, out.span());
    // The error of a share in log space, 1e-9, bounds that of the sum.
    CHECK(std::abs(out.host()[0] - expected) <= 1e-9);
  };
  // The i-th smallest is the best of N with weight w_i = binom(i-1,N-1)/binom(m,N), and then beats base samples 1 … i:
  // W = Σ_i w_i·Σ_{j≤i} w_j = ½·(1 + Σ w_i²). The worst of N mirrors it.
  const auto expected = [](index_t m, index_t n) {
    long double weight = static_cast<long double>(n) / static_cast<long double>(m);
    long double squares = 0;
    for (index_t i = m; i >= n; --i) {
      squares += weight * weight;
      weight *= static_cast<long double>(i - n) / static_cast<long double>(i - 1);
    }
    return static_cast<double>((1 + squares) / 2);
  };
  const index_t million = test::draws(1'000'000);
  check(million, best_of(million), 1.0);
  check(million, best_of(million / 2), expected(million, million / 2));
  for (const index_t n : {64, 65, 1000, 25'000, 49'999}) {
    check(50'000, best_of(n), expected(50'000, n));
    check(50'000, worst_of(n), expected(50'000, n));
  }
}

TEST_CASE_TEMPLATE("a procedure with only a distortion gets the plug-in estimate", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const groups<T> policy = tied_prompts<T>({8, 1, 30}, 1, 7);
  const groups<T> base = tied_prompts<T>({12, 3, 19}, 5, 7);
  const auto share_at_most = [](const std::vector<T>& samples, T t, bool inclusive) {
    double count = 0;
    for (const T s : samples) count += s < t || (inclusive && s == t);
    return count / static_cast<double>(samples.size());
  };
  const best_of_poisson often{3.0}, rarely{0.25};
  for (const auto algorithm : both) {
    const auto win_rate = ragged_win_rate<C>(policy, base, often, rarely, algorithm);
    for (std::size_t p = 0; p < policy.size(); ++p) {
      double expected = 0;
      for (int t = 0; t < 7; ++t) {
        const auto share = [&](const std::vector<T>& samples, bool inclusive) {
          return share_at_most(samples, static_cast<T>(t), inclusive);
        };
        expected += (often.distortion(share(policy[p], true)) - often.distortion(share(policy[p], false))) *
                    (rarely.distortion(share(base[p], true)) + rarely.distortion(share(base[p], false))) / 2;
      }
      CHECK(std::abs(win_rate[p] - expected) <= 1e-14);
    }
  }
}

TEST_CASE_TEMPLATE("padded rows are read without their padding", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const T padding = std::numeric_limits<T>::quiet_NaN();
  typename C::template array<T> y(std::vector<T>{1, 3, padding, 2, 2, padding});
  typename C::template array<T> z(std::vector<T>{2, 2, 2, padding, padding, 2, 1, 3, padding, padding});
  for (const auto algorithm : both) {
    typename C::template array<double> out(2, -1.0);
    procedure_win_rate(on, y.rows(2, 2, 3), z.rows(2, 3, 5), best_of(2), standard{}, out.span(), algorithm);
    CHECK(out.host()[0] == doctest::Approx(1.0).epsilon(1e-15));
    CHECK(out.host()[1] == doctest::Approx(0.5).epsilon(1e-15));
  }
}

TEST_CASE_TEMPLATE("no prompts are an ordinary input", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> none;
  typename C::template array<double> out;
  typename C::template array<index_t> no_offsets;
  CHECK_NOTHROW(procedure_win_rate(on, none.rows(0, 4), none.rows(0, 4), best_of(4), out.span()));
  CHECK_NOTHROW(procedure_win_rate(on, none.ragged(no_offsets), none.ragged(no_offsets), best_of(4), out.span()));
}

TEST_CASE_TEMPLATE("bad input is named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const T inf = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  typename C::template array<T> y(test::normal_values<T>(6, 1)), z(test::normal_values<T>(8, 2));
  typename C::template array<index_t> y_offsets(std::vector<index_t>{0, 4, 6}), z_offsets(std::vector<index_t>{0, 4, 8});
  typename C::template array<index_t> empty_group(std::vector<index_t>{0, 6, 6});
  typename C::template array<double> out(2, -7.0);
  typename C::template array<double> out3(3, -7.0);
  const auto shape = [](auto&& call) { return test::message_of<infalign::shape_error>(call); };
  const auto domain = [](auto&& call) { return test::message_of<infalign::domain_error>(call); };

  CHECK(shape([&] { procedure_win_rate(on, y.rows(2, 3), z.rows(2, 4), best_of(4), out.span()); }) ==
        "procedure_win_rate: policy_rewards[0] has 3 values, fewer than the 4 that its procedure draws");
  CHECK(shape([&] { procedure_win_rate(on, y.ragged(y_offsets), z.ragged(z_offsets), worst_of(3), out.span()); }) ==
        "procedure_win_rate: policy_rewards[1] has 2 values, fewer than the 3 that its procedure draws");
  CHECK(shape([&] { procedure_win_rate(on, y.ragged(y_offsets), z.rows(2, 4), standard{}, best_of(5), out.span()); }) ==
        "procedure_win_rate: base_rewards[0] has 4 values, fewer than the 5 that its procedure draws");
  CHECK(shape([&] { infalign::standard_win_rate(on, y.ragged(empty_group), z.rows(2, 4), out.span()); }) ==
        "procedure_win_rate: policy_rewards[1] has 0 values, fewer than the 1 that its procedure draws");
  CHECK(shape([&] { procedure_win_rate(on, y.rows(3, 2), z.rows(2, 4), best_of(2), out3.span()); }) ==
        "procedure_win_rate: base_rewards has 2 groups, but policy_rewards has 3");
  CHECK(shape([&] { procedure_win_rate(on, y.rows(2, 3), z.rows(2, 4), best_of(2), out3.span()); }) ==
        "procedure_win_rate: out has 3 values, but policy_rewards has 2 groups");

  const auto with = [](index_t n, index_t place, T value) {
    auto values = test::normal_values<T>(n, 1);
    values[static_cast<std::size_t>(place)] = value;
    return typename C::template array<T>(values);
  };
  auto bad_policy = with(6, 5, nan);
  auto bad_base = with(8, 4, -inf);
  CHECK(domain([&] { procedure_win_rate(on, bad_policy.ragged(y_offsets), z.rows(2, 4), best_of(2), out.span()); }) ==
        "procedure_win_rate: policy_rewards[1][1] is nan, must be finite");
  CHECK(domain([&] { procedure_win_rate(on, y.rows(2, 3), bad_base.rows(2, 4), best_of(2), out.span()); }) ==
        "procedure_win_rate: base_rewards[1][0] is -inf, must be finite");
  for (const auto& values : {out.host(), out3.host()})
    for (const double v : values) CHECK(v == -7.0);
}
