// SPDX-License-Identifier: Apache-2.0
#include "support/allocations.hpp"

#include <doctest/doctest.h>

#include "infalign/calibration/calibrate.hpp"
#include "infalign/transform/exponential.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

TEST_CASE_TEMPLATE("calibration does not allocate twice, whatever the tie rule, the algorithm and the shape", C,
                   INFALIGN_CONFIGURATIONS) {
  using namespace infalign;
  using T = typename C::value;
  typename C::template array<T> z(test::tied_values<T>(600, 1, 30)), y(test::tied_values<T>(120, 2, 30)), out(120);
  typename C::template array<index_t> z_offsets({0, 1, 351, 600}), y_offsets({0, 70, 70, 120});
  typename C::backend on = C::make_backend();
  const auto run = [&] {
    for (const auto rule : {tie_rule::mid_rank(), tie_rule::below(), tie_rule::at_or_below(), tie_rule::randomized(3)})
      for (const auto algorithm : {rank_algorithm::automatic, rank_algorithm::counting, rank_algorithm::sorting}) {
        const calibration_options options{rule, algorithm};
        calibrate(on, z.rows(3, 200), y.rows(3, 40), out.rows(3, 40), options);
        calibrate(on, z.ragged(z_offsets), y.ragged(y_offsets), out.ragged(y_offsets), options);
        calibrate_transform(on, z.rows(3, 200), y.rows(3, 40), exponential(3), out.rows(3, 40), options);
        calibrate_weighted(on, z.rows(3, 200), z.rows(3, 200), y.rows(3, 40), out.rows(3, 40), options);
        calibrate_leave_one_out(on, y.rows(3, 40), out.rows(3, 40), options);
      }
  };
  const long before = test::allocations();
  run();
  const long first = test::allocations();
  CHECK((first < 0 || first > before));  // the counter counts
  run();
  CHECK(test::allocations() == first);
}
