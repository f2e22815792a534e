// SPDX-License-Identifier: Apache-2.0
/// \file
/// What users of other software reported as wrong in comparisons of samples: the right value is asked of this library.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "evaluation/win_rates.hpp"
#include "support/configurations.hpp"

using infalign::best_of;
using infalign::index_t;
using infalign::standard;
namespace test = infalign::test;

namespace {

/// 1, 2, 3 … as often as `counts` says.
template <class T>
std::vector<T> levels(const std::vector<index_t>& counts) {
  std::vector<T> values;
  for (std::size_t i = 0; i < counts.size(); ++i)
    values.insert(values.end(), static_cast<std::size_t>(counts[i]), static_cast<T>(i + 1));
  return values;
}

}  // namespace

// scipy/scipy 4017: the Mann-Whitney test on heavy ties. SciPy 1.17 has U = 246930.5 of 292·1508 pairs. The best of N is from
// binomial coefficients as fractions.
TEST_CASE_TEMPLATE("win rates of 292 samples against 1508 on five levels", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const test::groups<T> policy{levels<T>({163, 81, 40, 6, 2})}, base{levels<T>({1007, 362, 99, 27, 13})};
  for (const auto algorithm : test::both) {
    const auto check = [&](index_t n, double expected) {
      CAPTURE(n);
      const auto procedure = best_of(n);
      const double w = test::ragged_win_rate<C>(policy, base, procedure, procedure, algorithm)[0];
      // 292 terms that add to at most 1, each from a share of N factors on either side.
      CHECK(std::abs(w - expected) <= 4e-16 * static_cast<double>(292 + 2 * n));
    };
    CHECK(std::abs(test::ragged_win_rate<C>(policy, base, standard{}, standard{}, algorithm)[0] - 246930.5 / (292 * 1508)) <=
          4e-16 * 292);
    check(2, 0.5873742903176025);
    check(8, 0.5946895012175246);
    check(64, 0.49378405935339126);
  }
}

// NVIDIA/cccl 1575: a sort that tells -0 from +0 breaks a tie.
TEST_CASE_TEMPLATE("zeros of both signs tie", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  test::groups<T> policy{{}}, base{{}};
  for (index_t i = 0; i < 300; ++i) {
    policy[0].push_back(i % 2 == 0 ? T(0.0) : T(-0.0));
    base[0].push_back(i % 3 == 0 ? T(-0.0) : T(0.0));
  }
  for (const auto algorithm : test::both) {
    CHECK(std::abs(test::ragged_win_rate<C>(policy, base, standard{}, standard{}, algorithm)[0] - 0.5) <= 4e-16 * 300);
    CHECK(std::abs(test::ragged_win_rate<C>(policy, base, best_of(8), best_of(8), algorithm)[0] - 0.5) <= 4e-16 * 300);
  }
}
