// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <numeric>
#include <vector>

#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using namespace infalign::test;

namespace {

/// Uses every member of a team on one row and writes what it got to `out`.
template <class T>
struct probe {
  const T* in;
  index_t n;
  T* doubled;
  double* out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    using V = typename Team::template vec<T>;
    const T infinite = infalign::infinity<T>;
    V sum[2] = {V(0), V(0)}, largest(-infinite), positive(0), positive_sum(0);
    team.template loop<T, 2>(n, [&](auto at, auto k) { sum[k] = sum[k] + at.load(in, T(0)); });
    team.template loop<T>(n, [&](auto at, auto) {
      using infalign::detail::max;
      const V v = at.load(in, -infinite);
      largest = max(largest, v);
      positive = at.count_where(positive, v > V(0));
      positive_sum = at.add_where(positive_sum, v > V(0), v);
      at.store(doubled, v + v);
    });
    const double results[] = {team.sum(sum[0] + sum[1]),
                              team.maximum(largest),
                              team.count(positive),
                              team.sum(positive_sum),
                              team.sum_items(n, [&](index_t i) { return static_cast<double>(in[i]); }),
                              team.sum_items(n, [&](index_t i) { return static_cast<double>(doubled[i]); })};
    team.items(6, [&](index_t i) { out[i] = results[i]; });
    team.once([&] { out[6] += out[5]; });
  }
};

template <class Positions, class At>
inline constexpr bool holds = false;
template <class... All, class At>
inline constexpr bool holds<infalign::position_types<All...>, At> = (std::same_as<All, At> || ...);

/// Compiles for a backend that gives kernels its `team_type`, and its formulas that team's positions.
template <class Backend>
struct expects_declared_types {
  using declared = typename Backend::team_type;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    static_assert(std::same_as<Team, declared>);
    team.template loop<float>(1, [](auto at, auto) { in_list<float>(at); });
    team.template loop<double, 3>(1, [](auto at, auto) { in_list<double>(at); });
  }
  template <class At>
  INFALIGN_HD void operator()(At at) const {
    in_list<index_t>(at);
  }
  template <class T, class At>
  INFALIGN_HD static void in_list(At) {
    static_assert(holds<typename declared::template positions<T>, At>);
  }
};

struct count_turns {
  int* turns;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    team.once([&] { ++turns[g]; });
  }
};

template <class T>
struct doubling {
  const T* in;
  T* out;
  template <class At>
  INFALIGN_HD void operator()(At at) const {
    at.store(out, at.load(in) + at.load(in));
  }
};

template <class T>
struct is_zero {
  const T* values;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    return v == decltype(v + v)(0);  // what pads a load by default
  }
};

}  // namespace

TEST_CASE_TEMPLATE("a team's loops and reductions see each position once, and what the step before stored", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  auto sizes = sizes_around_registers();
  sizes.insert(sizes.end(), {127, 128, 129, 1000, 5000});
  for (const index_t n : sizes)
    for (const index_t cost : {index_t{1}, n, 100 * n + 3}) {
      CAPTURE(n);
      // Whole numbers: sums are exact in any order. All are negative for some n, where a padded lane would win the maximum.
      auto values = tied_values<T>(n, static_cast<std::uint64_t>(n), 50);
      for (T& v : values) v -= static_cast<T>(n % 2 == 0 ? 25 : 51);
      typename C::template array<T> in(values), doubled(n + 1, T(-99));
      typename C::template array<double> out(7, 0.0);
      on.groups(1, cost, probe<T>{in.span().data(), n, doubled.span().data(), out.span().data()});
      const auto results = out.host();
      CHECK(results[0] == std::accumulate(values.begin(), values.end(), 0.0));
      CHECK(results[1] ==
            (n == 0 ? -infalign::infinity<double> : static_cast<double>(*std::max_element(values.begin(), values.end()))));
      CHECK(results[2] == static_cast<double>(std::count_if(values.begin(), values.end(), [](T v) { return v > 0; })));
      CHECK(results[3] ==
            std::accumulate(values.begin(), values.end(), 0.0, [](double a, T v) { return a + (v > 0 ? v : T(0)); }));
      CHECK(results[4] == results[0]);
      CHECK(results[5] == 2 * results[0]);
      CHECK(results[6] == results[5]);
      auto expected = values;
      for (T& v : expected) v *= 2;
      expected.push_back(T(-99));
      CHECK(doubled.host() == expected);
    }
}

TEST_CASE_TEMPLATE("kernels and formulas meet the types that the contract was checked for", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  const expects_declared_types<typename C::backend> check;
  on.groups(1, 1, check);
  on.template map<index_t>(1, check);
}

TEST_CASE_TEMPLATE("every group has its turn, once, however the work is cut", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on = C::make_backend();
  for (const index_t n : {0, 1, 2, 255, 256, 257, 1000})
    for (const index_t cost : {index_t{0}, index_t{1} << 15, index_t{5} << 15, index_t{1} << 40}) {
      typename C::template array<int> turns(n, 0);
      on.groups(n, cost, count_turns{turns.span().data()});
      CHECK(turns.host() == std::vector<int>(static_cast<std::size_t>(n), 1));
    }
}

TEST_CASE_TEMPLATE("map goes over every position, in several tasks too, and not beyond", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : {0, 1, 15, 17, 33, 65'537, 100'003}) {
    CAPTURE(n);
    auto expected = tied_values<T>(n, 1, 100);
    typename C::template array<T> in(expected), out(n + 1, T(-99));
    on.template map<T>(n, doubling<T>{in.span().data(), out.span().data()});
    for (T& v : expected) v += v;
    expected.push_back(T(-99));
    CHECK(out.host() == expected);
  }
}

TEST_CASE_TEMPLATE("first finds the first position, and none among padding", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : {0, 1, 3, 16, 17, 33, 2000, 100'003}) {
    CAPTURE(n);
    std::vector<T> values(static_cast<std::size_t>(n), T(1));
    const auto found = [&] {
      typename C::template array<T> in(values);
      return on.template first<T>(n, is_zero<T>{in.span().data()});
    };
    CHECK(found() == n);
    for (const index_t place : {n - 1, n / 2, n / 3}) {
      if (place < 0 || place >= n) continue;
      values[static_cast<std::size_t>(place)] = 0;
      CHECK(found() == place);  // the places come in descending order
    }
  }
}

TEST_CASE_TEMPLATE("sort puts every group in order and leaves its input", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto bounds = offsets_of({5, 0, 1, 40, 2});
  const auto values = normal_values<T>(48, 3);
  typename C::template array<T> in(values), sorted(48);
  typename C::template array<index_t> offsets(bounds);
  on.sort(in.ragged(offsets), sorted.span().data());
  auto expected = values;
  for (std::size_t g = 0; g + 1 < bounds.size(); ++g) std::sort(expected.begin() + bounds[g], expected.begin() + bounds[g + 1]);
  CHECK(sorted.host() == expected);
  CHECK(in.host() == values);

  // Rows with padding come out without it.
  typename C::template array<T> padded(std::vector<T>{3, 1, 99, 2, -2, 99}), packed(4);
  on.sort(padded.rows(2, 2, 3), packed.span().data());
  CHECK(packed.host() == std::vector<T>{1, 3, -2, 2});
}

TEST_CASE_TEMPLATE("groups that are sorted side by side, of one length or not, with ties and over themselves", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  // Tiles of one length, of nearly one, of too many, with a group that is too long, and a last one that is not full.
  std::vector<index_t> bounds{0};
  const auto add = [&](index_t n) { bounds.push_back(bounds.back() + n); };
  for (index_t g = 0; g < 16; ++g) add(64);
  for (index_t g = 0; g < 16; ++g) add(33 + g % 5);
  for (index_t g = 0; g < 16; ++g) add(g == 7 ? 300 : 1);
  for (index_t g = 0; g < 16; ++g) add(g == 3 ? 1025 : 1024);
  for (index_t g = 0; g < 16; ++g) add(g);
  add(100);
  auto expected = tied_values<T>(bounds.back(), 5, 40);
  for (std::size_t i = 0; i < 64; ++i) expected[i] = i % 2 == 0 ? T(0) : -T(0);  // both must be as many as before
  typename C::template array<T> values(expected);
  typename C::template array<index_t> offsets(bounds);
  on.sort(values.ragged(offsets), values.span().data());
  for (std::size_t g = 0; g + 1 < bounds.size(); ++g) std::sort(expected.begin() + bounds[g], expected.begin() + bounds[g + 1]);
  const auto sorted = values.host();
  CHECK(sorted == expected);
  const auto negative_zeros = [](const std::vector<T>& of) {
    return std::count_if(of.begin(), of.end(), [](T v) { return v == 0 && std::signbit(v); });
  };
  CHECK(negative_zeros(sorted) == negative_zeros(expected));
}
