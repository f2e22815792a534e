// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/math.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>
#include <xsimd/xsimd.hpp>

#include "infalign/core/bisect.hpp"

namespace {

template <class V>
concept selects_by = requires(V condition, double x) { infalign::select(condition, x, x); };
// A mask that only converts to bool must not reach the scalar overload: it would pick one side for all lanes.
static_assert(selects_by<bool> && !selects_by<int> && !selects_by<unsigned char>);
static_assert(!selects_by<xsimd::batch_bool<double>>);

static_assert(std::is_same_v<infalign::compute_t<const float>, float> && std::is_same_v<infalign::compute_t<double>, double>);

template <class T>
struct affine {
  template <class V>
  V operator()(V x) const {
    return infalign::polynomial(x, 0.5, -3.0, 2.0);
  }
};

}  // namespace

TEST_CASE("select picks a side") {
  CHECK(infalign::select(true, 1.0, 2.0) == 1.0);
  CHECK(infalign::select(false, 1.0, 2.0) == 2.0);
}

TEST_CASE_TEMPLATE("not_finite marks NaN and both infinities, on a scalar and in a register", T, float, double) {
  constexpr T inf = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const T largest = std::numeric_limits<T>::max();
  const T smallest = std::numeric_limits<T>::denorm_min();
  CHECK(infalign::not_finite(inf));
  CHECK(infalign::not_finite(-inf));
  CHECK(infalign::not_finite(nan));
  for (const T finite : {T(0), T(-0.0), T(1), largest, -largest, smallest}) CHECK_FALSE(infalign::not_finite(finite));

  using batch = xsimd::batch<T>;
  for (const T bad : {inf, -inf, nan})
    for (std::size_t at = 0; at < batch::size; ++at) {
      std::vector<T> lanes(batch::size, largest);
      CHECK_FALSE(xsimd::any(infalign::not_finite(batch::load_unaligned(lanes.data()))));
      lanes[at] = bad;
      CHECK(xsimd::any(infalign::not_finite(batch::load_unaligned(lanes.data()))));
    }
}

TEST_CASE_TEMPLATE("a polynomial is evaluated highest power first", T, float, double, long double) {
  CHECK(infalign::polynomial(T(4), 0.5, -3.0, 2.0) == T(-2));
  CHECK(infalign::polynomial(T(4), 7.0) == T(7));
}

TEST_CASE_TEMPLATE("formulas give the same in a register", T, float, double) {
  using batch = xsimd::batch<T>;
  alignas(64) T lanes[batch::size];
  for (std::size_t i = 0; i < batch::size; ++i) lanes[i] = static_cast<T>(i);
  alignas(64) T result[batch::size];
  affine<T>{}(batch::load_unaligned(lanes)).store_unaligned(result);
  for (std::size_t i = 0; i < batch::size; ++i) CHECK(result[i] == affine<T>{}(lanes[i]));
}

TEST_CASE_TEMPLATE("bisection counts what is below and what is not above", T, float, double) {
  std::vector<T> sorted;
  const auto expect = [&](infalign::value_ranks found, std::ptrdiff_t below, std::ptrdiff_t at_or_below) {
    REQUIRE(found.below == below);
    REQUIRE(found.at_or_below == at_or_below);
  };
  for (int n = 0; n <= 40; ++n) {
    for (T x = T(-1); x <= T(n / 2 + 1); x += T(0.5)) {
      const auto below = std::count_if(sorted.begin(), sorted.end(), [&](T v) { return v < x; });
      const auto not_above = std::count_if(sorted.begin(), sorted.end(), [&](T v) { return v <= x; });
      REQUIRE(infalign::count_sorted<false>(sorted.data(), n, x) == below);
      REQUIRE(infalign::count_sorted<true>(sorted.data(), n, x) == not_above);
      expect(infalign::ranks_among_sorted(sorted.data(), n, x), below, not_above);
    }
    sorted.push_back(static_cast<T>(n / 3));  // runs of three equal values
  }
}
