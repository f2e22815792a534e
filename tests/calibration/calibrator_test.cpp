// SPDX-License-Identifier: Apache-2.0
#include "infalign/calibration/calibrator.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <type_traits>
#include <vector>

#include "infalign/calibration/calibrate.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using namespace infalign::test;

namespace {

/// A loop of the user's own that asks a fitted calibrator.
template <class Ref, class T>
struct ask {
  Ref fitted;
  index_t prompt;
  const T* rewards;
  T* u;
  template <class At>
  INFALIGN_HD void operator()(At at) const {
    at.store(u, fitted[prompt].cdf(at.load(rewards)));
  }
};

/// What `fitted` says of `rewards`, n of every prompt.
template <class C, class Calibrator, class Array>
std::vector<typename C::value> answers(typename C::backend& on, const Calibrator& fitted, Array& rewards, index_t n) {
  using T = typename C::value;
  static_assert(std::is_trivially_copyable_v<decltype(fitted.ref())>);
  Array u(fitted.size() * n, T(-9));
  for (index_t p = 0; p < fitted.size(); ++p)
    on.template map<T>(n,
                       ask<decltype(fitted.ref()), T>{fitted.ref(), p, rewards.span().data() + p * n, u.span().data() + p * n});
  return u.host();
}

}  // namespace

TEST_CASE_TEMPLATE("a fitted calibrator gives calibrate's values to the bit", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using array = typename C::template array<T>;
  typename C::backend on = C::make_backend();
  typename C::template array<index_t> offsets(offsets_of({1, 7, 40, 3})), value_offsets(offsets_of({30, 30, 30, 30}));
  array z(tied_values<T>(51, 1, 12));
  auto values = tied_values<T>(120, 2, 14);
  for (std::size_t i = 0; i < values.size(); i += 3) values[i] -= T(0.5);
  array y(values), u(120);
  infalign::calibrate(on, z.ragged(offsets), y.ragged(value_offsets), u.ragged(value_offsets));
  const infalign::calibrator fitted(on, z.ragged(offsets));
  CHECK(fitted.size() == 4);
  CHECK(same_bits(answers<C>(on, fitted, y, 30), u.host()));

  infalign::calibrate(on, z.rows(3, 17), y.rows(3, 40), u.rows(3, 40));
  const infalign::calibrator of_rows(on, z.rows(3, 17));
  CHECK(of_rows.size() == 3);
  CHECK(same_bits(answers<C>(on, of_rows, y, 40), u.host()));
}

TEST_CASE_TEMPLATE("a calibrator copies what it needs, without the padding of rows", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using array = typename C::template array<T>;
  typename C::backend on = C::make_backend();
  array z(std::vector<T>{3, 1, 99, 2, 2, 99}), y(std::vector<T>{1, 2, 3, 1, 2, 3});
  typename C::template array<index_t> offsets(offsets_of({2, 4}));
  const infalign::calibrator fitted(on, z.rows(2, 2, 3));
  const infalign::calibrator ragged(on, z.ragged(offsets));
  z = array(6, T(-5));
  offsets = typename C::template array<index_t>(3, index_t{0});
  CHECK(answers<C>(on, fitted, y, 3) == std::vector<T>{T(0.25), T(0.5), T(0.75), 0, T(0.5), 1});
  CHECK(answers<C>(on, ragged, y, 3) == std::vector<T>{T(0.25), T(0.5), T(0.75), 0, T(0.25), T(0.5)});
  CHECK(infalign::calibrator(on, z.rows(0, 2)).size() == 0);
}

TEST_CASE_TEMPLATE("a calibrator needs finite references for every prompt", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> z(std::vector<T>{1, 2, std::numeric_limits<T>::quiet_NaN()});
  typename C::template array<index_t> one_empty(offsets_of({3, 0}));
  CHECK(message_of<infalign::domain_error>([&] { (void)infalign::calibrator(on, z.rows(1, 3)); }) ==
        "calibrator: references[0][2] is nan, must be finite");
  CHECK(message_of<infalign::shape_error>([&] { (void)infalign::calibrator(on, z.ragged(one_empty)); }) ==
        "calibrator: references[1] has 0 values, a prompt needs at least one reference reward");
}
