// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/advantage/leave_one_out.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::leave_one_out_advantage;
namespace test = infalign::test;

namespace {

/// `r_i` minus the mean of the others, and the error allowed: sums in double, the result rounded in the type of the rewards.
template <class T>
void check_group(const std::vector<T>& rewards, const std::vector<T>& advantages, index_t begin, index_t end) {
  for (index_t i = begin; i < end; ++i) {
    long double others = 0, largest = 0;
    for (index_t j = begin; j < end; ++j) {
      if (j != i) others += static_cast<long double>(rewards[static_cast<std::size_t>(j)]);
      largest = std::max(largest, std::abs(static_cast<long double>(rewards[static_cast<std::size_t>(j)])));
    }
    const long double expected =
        static_cast<long double>(rewards[static_cast<std::size_t>(i)]) - others / static_cast<long double>(end - begin - 1);
    const double error = std::abs(static_cast<double>(advantages[static_cast<std::size_t>(i)]) - static_cast<double>(expected));
    CHECK(error <= 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(largest));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("the advantage is the reward minus the mean of the others", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : {2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 1000}) {
    const auto rewards = test::normal_values<T>(3 * n, static_cast<std::uint64_t>(n));
    typename C::template array<T> r(rewards), out(3 * n, T(-99));
    leave_one_out_advantage(on, r.rows(3, n), out.rows(3, n));
    for (index_t p = 0; p < 3; ++p) check_group(rewards, out.host(), p * n, (p + 1) * n);
    leave_one_out_advantage(on, r.rows(3, n), r.rows(3, n));
    CHECK(test::same_bits(r.host(), out.host()));
  }
}

TEST_CASE_TEMPLATE("ragged groups, and rows between padding", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto rewards = test::normal_values<T>(24, 3);
  typename C::template array<T> r(rewards), out(24, T(-99)), strided(24, T(-99));
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 2, 19, 24});
  leave_one_out_advantage(on, r.ragged(offsets), out.ragged(offsets));
  check_group(rewards, out.host(), 0, 2);
  check_group(rewards, out.host(), 2, 19);
  check_group(rewards, out.host(), 19, 24);
  leave_one_out_advantage(on, r.rows(2, 5, 12), strided.rows(2, 5, 12));
  check_group(rewards, strided.host(), 0, 5);
  check_group(rewards, strided.host(), 12, 17);
  CHECK(strided.host()[5] == T(-99));
}

TEST_CASE_TEMPLATE("bad rewards are named, and nothing is written", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  auto rewards = test::normal_values<T>(6, 3);
  typename C::template array<T> r(rewards), out(6, T(-99));
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 3, 4, 6}), others(std::vector<index_t>{0, 2, 4, 6});
  const auto shape = [](auto&& call) { return test::message_of<infalign::shape_error>(call); };
  CHECK(shape([&] { leave_one_out_advantage(on, r.ragged(offsets), out.ragged(offsets)); }) ==
        "leave_one_out_advantage: rewards[1] has 1 values, leaving one out needs at least two");
  CHECK(shape([&] { leave_one_out_advantage(on, r.rows(6, 1), out.rows(6, 1)); }) ==
        "leave_one_out_advantage: rewards[0] has 1 values, leaving one out needs at least two");
  CHECK(shape([&] { leave_one_out_advantage(on, r.ragged(others), out.ragged(offsets)); }) ==
        "leave_one_out_advantage: out[0] has 3 values, but rewards[0] has 2");
  CHECK(shape([&] { leave_one_out_advantage(on, r.rows(2, 3), out.rows(1, 6)); }) ==
        "leave_one_out_advantage: out has 1 groups, but rewards has 2");
  rewards[4] = std::numeric_limits<T>::quiet_NaN();
  typename C::template array<T> bad(rewards);
  CHECK(test::message_of<infalign::domain_error>([&] { leave_one_out_advantage(on, bad.rows(2, 3), out.rows(2, 3)); }) ==
        "leave_one_out_advantage: rewards[1][1] is nan, must be finite");
  CHECK(out.host() == std::vector<T>(6, T(-99)));
  CHECK_NOTHROW(leave_one_out_advantage(on, r.rows(0, 3), out.rows(0, 3)));
}
