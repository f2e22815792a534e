// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "calibration/brute_force.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::rank_algorithm;
using infalign::tie_rule;
using namespace infalign::test;

TEST_CASE_TEMPLATE("leaving one out equals a brute-force count over the others", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  for (const int levels : {1, 2, 5, 100'000})
    for (const index_t k : {2, 3, 4, 5, 8, 9, 16, 17, 33, 250}) {
      const prompts<T> rewards{tied_values<T>(k, 1, levels), tied_values<T>(k, 2, levels), tied_values<T>(k, 3, levels)};
      for (const tie_rule& ties : all_tie_rules)
        for (const rank_algorithm algorithm : all_rank_algorithms) {
          typename C::backend on = C::make_backend();
          typename C::template array<T> y(packed(rewards)), u(3 * k, T(-9));
          infalign::calibrate_leave_one_out(on, y.rows(3, k), u.rows(3, k), {ties, algorithm});
          REQUIRE(same_bits(u.host(), rounded<T>(calibrated_leave_one_out(rewards, ties))));
        }
    }
}

TEST_CASE_TEMPLATE("leaving one out of ragged prompts", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const prompts<T> rewards{tied_values<T>(2, 1, 5), tied_values<T>(40, 2, 5), tied_values<T>(3, 3, 5),
                           tied_values<T>(17, 4, 5)};
  for (const tie_rule& ties : all_tie_rules)
    for (const rank_algorithm algorithm : all_rank_algorithms) {
      typename C::backend on = C::make_backend();
      typename C::template array<T> y(packed(rewards)), u(62, T(-9));
      typename C::template array<index_t> offsets(offsets_of(sizes_of(rewards)));
      infalign::calibrate_leave_one_out(on, y.ragged(offsets), u.ragged(offsets), {ties, algorithm});
      CHECK(same_bits(u.host(), rounded<T>(calibrated_leave_one_out(rewards, ties))));
    }
}

TEST_CASE_TEMPLATE("left out or not, the mean over a prompt is one half, but only leaving out reaches 0 and 1", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> y(std::vector<T>{30, 10, 50, 20, 40});
  typename C::template array<double> u(5, -9.0);
  infalign::calibrate_leave_one_out(on, y.rows(1, 5), u.rows(1, 5));
  CHECK(u.host() == std::vector<double>{0.5, 0.0, 1.0, 0.25, 0.75});
  infalign::calibrate(on, y.rows(1, 5), y.rows(1, 5), u.rows(1, 5));
  CHECK(u.host() == std::vector<double>{0.5, 0.1, 0.9, 0.3, 0.7});
}
