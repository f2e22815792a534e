// SPDX-License-Identifier: Apache-2.0
/// \file
/// What users of other software reported as wrong in ranks: the right value is asked of this library.
#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "infalign/calibration/calibrate.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::rank_algorithm;
using infalign::tie_rule;
namespace test = infalign::test;

namespace {

constexpr rank_algorithm both[] = {rank_algorithm::counting, rank_algorithm::sorting};

}  // namespace

// pandas-dev/pandas 18271: the last of 20,000,000 percent ranks was 1.19, as a counter in float stops at 2^24.
TEST_CASE_TEMPLATE("more references than float can count", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t zeros = test::draws(1 << 24) + 1, k = zeros + 2;
  std::vector<T> references(static_cast<std::size_t>(k), T(0));
  references[7] = T(2);
  references[static_cast<std::size_t>(k / 2)] = T(1);
  typename C::template array<T> z(std::move(references)), y(std::vector<T>{-1, 0, T(0.5), 1, 2, 3});
  typename C::template array<double> u(6, -9.0);
  infalign::calibrate(on, z.rows(1, k), y.rows(1, 6), u.rows(1, 6), {{}, rank_algorithm::counting});
  const index_t twice_rank[] = {0, zeros, 2 * zeros, 2 * zeros + 1, 2 * zeros + 3, 2 * k};
  for (std::size_t j = 0; j < 6; ++j) CHECK(u.host()[j] == static_cast<double>(twice_rank[j]) / static_cast<double>(2 * k));
}

// NVIDIA/cccl 1575: a sort that tells -0 from +0 breaks a tie.
TEST_CASE_TEMPLATE("zeros of both signs tie, in groups of every size", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<std::pair<tie_rule, double>> rules{
      {tie_rule::mid_rank(), 0.5}, {tie_rule::below(), 0}, {tie_rule::at_or_below(), 1}};
  std::vector<index_t> sizes = test::sizes_around_registers();
  sizes.push_back(test::draws(4096));
  for (const index_t n : sizes) {
    if (n == 0) continue;
    CAPTURE(n);
    // Beside n zeros of the references there are a -1 and a 1.
    std::vector<T> references{T(1)}, rewards;
    for (index_t i = 0; i < n; ++i) {
      references.push_back(i % 3 == 0 ? T(-0.0) : T(0.0));
      rewards.push_back(i % 2 == 0 ? T(0.0) : T(-0.0));
    }
    references.push_back(T(-1));
    for (const rank_algorithm algorithm : both)
      for (const auto& [rule, share] : rules) {
        typename C::template array<T> z(references), y(rewards);
        typename C::template array<double> u(n, -9.0);
        infalign::calibrate(on, z.rows(1, n + 2), y.rows(1, n), u.rows(1, n), {rule, algorithm});
        const double expected = (1 + share * static_cast<double>(n)) / static_cast<double>(n + 2);
        CHECK(u.host() == std::vector<double>(static_cast<std::size_t>(n), expected));
      }
  }
}
