// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

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
  void operator()(Team& team, index_t) const {
    using V = typename Team::template vec<T>;
    V sum[2] = {V(0), V(0)}, largest(-infinite), positive(0);
    team.template loop<T, 2>(n, [&](auto at, auto k) { sum[k] = sum[k] + at.load(in, T(0)); });
    team.template loop<T>(n, [&](auto at, auto) {
      using infalign::detail::max;
      const V v = at.load(in, -infinite);
      largest = max(largest, v);
      positive = at.add_where(positive, v > V(0), V(1));
      at.store(doubled, v + v);
    });
    const double results[] = {team.sum(sum[0] + sum[1]), team.maximum(largest), team.sum(positive),
                              team.sum_items(n, [&](index_t i) { return static_cast<double>(in[i]); })};
    team.items(4, [&](index_t i) { out[i] = results[i]; });
    team.once([&] { out[4] += 1; });
  }
  static constexpr T infinite = infalign::infinity<T>;
};

}  // namespace

TEST_CASE_TEMPLATE("a team's loops and reductions see each position once, in registers and tails", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const index_t n : sizes_around_registers()) {
    CAPTURE(n);
    // Whole numbers: sums are exact in any order. All are negative for some n, where a padded lane would win the maximum.
    auto values = tied_values<T>(n, static_cast<std::uint64_t>(n), 50);
    for (T& v : values) v -= static_cast<T>(n % 2 == 0 ? 25 : 51);
    std::vector<T> doubled(static_cast<std::size_t>(n) + 1, T(-99));
    double out[5] = {};
    typename C::backend on;
    on.groups(1, 1, probe<T>{values.data(), n, doubled.data(), out});
    CHECK(out[0] == std::accumulate(values.begin(), values.end(), 0.0));
    CHECK(out[1] ==
          (n == 0 ? -infalign::infinity<double> : static_cast<double>(*std::max_element(values.begin(), values.end()))));
    CHECK(out[2] == static_cast<double>(std::count_if(values.begin(), values.end(), [](T v) { return v > 0; })));
    CHECK(out[3] == out[0]);
    CHECK(out[4] == 1);
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(doubled[i] == 2 * values[i]);
    CHECK(doubled.back() == T(-99));
  }
}

TEST_CASE_TEMPLATE("every group has its turn, once, however the work is cut", C, INFALIGN_CONFIGURATIONS) {
  typename C::backend on;
  for (const index_t n : {0, 1, 2, 255, 256, 257, 1000})
    for (const index_t cost : {index_t{0}, index_t{1} << 15, index_t{5} << 15, index_t{1} << 40}) {
      std::vector<int> turns(static_cast<std::size_t>(n), 0);
      on.groups(n, cost, [&](auto& team, index_t g) { team.once([&] { ++turns[static_cast<std::size_t>(g)]; }); });
      CHECK(turns == std::vector<int>(turns.size(), 1));
    }
}

TEST_CASE_TEMPLATE("map goes over every position, in several tasks too, and not beyond", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on;
  for (const index_t n : {0, 1, 15, 17, 33, 65'537, 100'003}) {
    CAPTURE(n);
    const auto values = tied_values<T>(n, 1, 100);
    std::vector<T> out(values.size() + 1, T(-99));
    on.template map<T>(n, [in = values.data(), to = out.data()](auto at) { at.store(to, at.load(in) + at.load(in)); });
    CHECK(out.back() == T(-99));
    out.pop_back();
    auto expected = values;
    for (T& v : expected) v += v;
    CHECK(out == expected);
  }
}

TEST_CASE_TEMPLATE("first finds the first position, and none among padding", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on;
  for (const index_t n : {0, 1, 3, 16, 17, 33, 2000, 100'003}) {
    CAPTURE(n);
    std::vector<T> values(static_cast<std::size_t>(n), T(1));
    const auto is_zero = [p = values.data()](auto at) {
      const auto v = at.load(p);
      return v == decltype(v + v)(0);  // what pads a load by default
    };
    CHECK(on.template first<T>(n, is_zero) == n);
    for (const index_t place : {n - 1, n / 2, n / 3}) {
      if (place < 0 || place >= n) continue;
      values[static_cast<std::size_t>(place)] = 0;
      CHECK(on.template first<T>(n, is_zero) == place);  // the places come in descending order
    }
  }
}

TEST_CASE_TEMPLATE("sort puts every group in order and leaves its input", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on;
  const auto offsets = offsets_of({5, 0, 1, 40, 2});
  const auto values = normal_values<T>(48, 3);
  std::vector<T> sorted(48);
  on.sort(infalign::ragged<const T>(values, offsets), sorted.data());
  auto expected = values;
  for (std::size_t g = 0; g + 1 < offsets.size(); ++g)
    std::sort(expected.begin() + offsets[g], expected.begin() + offsets[g + 1]);
  CHECK(sorted == expected);
  CHECK(values == normal_values<T>(48, 3));

  // Rows with padding come out without it.
  const std::vector<T> padded{3, 1, 99, 2, -2, 99};
  std::vector<T> packed(4);
  on.sort(infalign::rows<const T>(padded.data(), 2, 2, 3), packed.data());
  CHECK(packed == std::vector<T>{1, 3, -2, 2});
}
