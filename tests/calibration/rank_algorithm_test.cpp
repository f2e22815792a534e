// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/rank_algorithm.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "backend/archetype.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/calibration/calibrate.hpp"

using infalign::index_t;
using infalign::rank_algorithm;

namespace {

/// Says whether it was asked to sort. `Costs` tells one such backend from another.
template <class Costs>
struct observed : infalign::test::archetype {
  int sorts = 0;
  template <class G, class T>
  void sort(const G& groups, T* out) {
    ++sorts;
    archetype::sort(groups, out);
  }
};
struct of_default;
struct of_sorting;
struct of_counting;

template <class B>
bool sorts(rank_algorithm algorithm, index_t references, index_t rewards) {
  const std::vector<float> z(static_cast<std::size_t>(references)), y(static_cast<std::size_t>(rewards));
  std::vector<float> u(y.size());
  B on;
  infalign::calibrate(on, infalign::rows<const float>(z.data(), 1, references),
                      infalign::rows<const float>(y.data(), 1, rewards), infalign::rows<float>(u.data(), 1, rewards),
                      {{}, algorithm});
  CHECK(on.sorts <= 1);
  return on.sorts == 1;
}

}  // namespace

template <>
struct infalign::rank_cost<observed<of_sorting>> {
  static bool prefers_counting(index_t, index_t) { return false; }
};
template <>
struct infalign::rank_cost<observed<of_counting>> {
  static bool prefers_counting(index_t, index_t) { return true; }
};

TEST_CASE("automatic asks the cost model of the backend, and who names an algorithm gets it") {
  using enum rank_algorithm;
  for (const index_t m : {1, 5000}) {
    CHECK(sorts<observed<of_sorting>>(automatic, 16, m));
    CHECK(sorts<observed<of_sorting>>(sorting, 16, m));
    CHECK(!sorts<observed<of_sorting>>(counting, 16, m));
    CHECK(!sorts<observed<of_counting>>(automatic, 16, m));
    CHECK(sorts<observed<of_counting>>(sorting, 16, m));
    CHECK(!sorts<observed<of_counting>>(counting, 16, m));
  }
}

TEST_CASE("a backend without a cost model of its own counts for few and sorts for many") {
  CHECK(!sorts<observed<of_default>>(rank_algorithm::automatic, 16, 1));
  CHECK(sorts<observed<of_default>>(rank_algorithm::automatic, 4096, 4096));
}

TEST_CASE("SIMD counts for few values among many references, and sorts where there are many of both") {
  using cost = infalign::rank_cost<infalign::simd>;
  CHECK(cost::prefers_counting(128, 16));
  CHECK(cost::prefers_counting(5000, 16));
  CHECK(!cost::prefers_counting(1024, 4096));
  CHECK(cost::prefers_counting_pairs(1, 128));
  CHECK(!cost::prefers_counting_pairs(64, 64));
  CHECK(cost::prefers_counting_pairs(8, 5000));
}
