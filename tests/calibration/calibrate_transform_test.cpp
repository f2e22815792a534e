// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "infalign/calibration/calibrate.hpp"
#include "infalign/transform/apply.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "infalign/transform/logarithm.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "infalign/transform/power.hpp"
#include "infalign/transform/tabulated.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::rank_algorithm;
using infalign::tie_rule;
using namespace infalign::test;

namespace {

/// `calibrate_transform` beside `apply` after `calibrate`, rows and ragged, for sizes around the registers.
template <class C, class Transform>
void check_fused(const Transform& transform) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const rank_algorithm algorithm : {rank_algorithm::counting, rank_algorithm::sorting})
    for (const tie_rule& ties : {tie_rule::mid_rank(), tie_rule::randomized(3)})
      for (const index_t m : sizes_around_registers()) {
        const index_t n = 3, k = 37;
        typename C::template array<T> z(tied_values<T>(n * k, 1, 20)), y(tied_values<T>(n * m, 2, 20));
        typename C::template array<T> fused(n * m, T(-9)), u(n * m, T(-9)), ragged(n * m, T(-9));
        typename C::template array<index_t> offsets(offsets_of({m, 0, 2 * m}));
        const infalign::calibration_options options{ties, algorithm};
        infalign::calibrate(on, z.rows(n, k), y.rows(n, m), u.rows(n, m), options);
        infalign::apply(on, transform, u.span(), u.span());
        infalign::calibrate_transform(on, z.rows(n, k), y.rows(n, m), transform, fused.rows(n, m), options);
        REQUIRE(same_bits(fused.host(), u.host()));

        infalign::calibrate(on, z.rows(n, k), y.ragged(offsets), u.ragged(offsets), options);
        infalign::apply(on, transform, u.span(), u.span());
        infalign::calibrate_transform(on, z.rows(n, k), y.ragged(offsets), transform, ragged.ragged(offsets), options);
        REQUIRE(same_bits(ragged.host(), u.host()));
      }
}

}  // namespace

TEST_CASE_TEMPLATE("calibrate_transform equals apply after calibrate, to the bit", C, INFALIGN_CONFIGURATIONS) {
  check_fused<C>(infalign::identity{});
  check_fused<C>(infalign::exponential(10));
  check_fused<C>(infalign::normal_quantile{});
  check_fused<C>(infalign::clamped(infalign::logarithm{}, 1.0 / 74, 1 - 1.0 / 74));
  // Owns its table; what enters the kernel is its view.
  const typename C::tabulated table(infalign::tabulated({0, 0.5, 1}, {0, 1, 5}));
  check_fused<C>(infalign::shifted(infalign::scaled(table, 2), -1));
}

TEST_CASE_TEMPLATE("calibrate_transform writes rows of any stride and nothing between them", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(std::vector<T>{1, 2, 3, 4, 5, 6, 7, 8}), y(std::vector<T>{2, 9, 0, 6}), out(8, T(-9));
  infalign::calibrate_transform(on, z.rows(2, 4), y.rows(2, 2), infalign::exponential(2), out.rows(2, 2, 5));
  const std::vector<T> result = out.host();
  const double expected[] = {std::exp(2 * 0.375), std::exp(2.0), 1, std::exp(2 * 0.375)};
  const std::size_t at[] = {0, 1, 5, 6};
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(static_cast<double>(result[at[i]]) ==
          doctest::Approx(expected[i]).epsilon(8 * static_cast<double>(std::numeric_limits<T>::epsilon())));
  for (const std::size_t gap : {2, 3, 4, 7}) CHECK(result[gap] == T(-9));
}

TEST_CASE_TEMPLATE("a reward outside all references meets the transform's ends", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(std::vector<T>{1, 2, 3, 4}), y(std::vector<T>{0, 9}), out(2, T(-9));
  infalign::calibrate_transform(on, z.rows(1, 4), y.rows(1, 2), infalign::logarithm{}, out.rows(1, 2));
  CHECK(out.host()[0] == -infalign::infinity<T>);
  CHECK(out.host()[1] == 0);
  infalign::calibrate_transform(on, z.rows(1, 4), y.rows(1, 2), infalign::clamped(infalign::logarithm{}, 0.125, 0.875),
                                out.rows(1, 2));
  CHECK(static_cast<double>(out.host()[0]) == doctest::Approx(std::log(0.125)).epsilon(1e-6));
  CHECK(static_cast<double>(out.host()[1]) == doctest::Approx(std::log(0.875)).epsilon(1e-6));
}
