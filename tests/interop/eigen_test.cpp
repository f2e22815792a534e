// SPDX-License-Identifier: Apache-2.0
#include "infalign/interop/eigen.hpp"

#include <doctest/doctest.h>

#include "infalign/infalign.hpp"

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

TEST_CASE("matrices are views of their own memory") {
  RowMajor m(2, 3);
  m << 1, 2, 3, 4, 5, 6;
  const auto view = infalign::as_rows(m);
  CHECK(view.size() == 2);
  CHECK(view.columns() == 3);
  view[1][2] = 60;
  CHECK(m(1, 2) == 60);
  const RowMajor& constant = m;
  static_assert(std::is_same_v<decltype(infalign::as_rows(constant)), infalign::rows<const double>>);
  static_assert(std::is_same_v<decltype(infalign::as_span(constant)), infalign::span<const double>>);
  CHECK(infalign::as_span(m).data() == m.data());
  CHECK(infalign::as_span(m).size() == 6);
}

TEST_CASE("maps with a distance between rows, of constant values too") {
  const double values[] = {1, 2, -9, 3, 4, -9};
  using Strided = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;
  const auto view = infalign::as_rows(Strided(values, 2, 2, Eigen::OuterStride<>(3)));
  static_assert(std::is_same_v<decltype(view), const infalign::rows<const double>>);
  CHECK(view[1][0] == 3);
  CHECK(view[1][1] == 4);
}

TEST_CASE("an algorithm reads and writes Eigen's memory") {
  RowMajor z(1, 4), y(1, 2), u(1, 2);
  z << 1, 2, 3, 4;
  y << 2, 5;
  infalign::simd on;
  infalign::calibrate(on, infalign::as_rows(std::as_const(z)), infalign::as_rows(std::as_const(y)), infalign::as_rows(u));
  CHECK(u(0, 0) == 0.375);
  CHECK(u(0, 1) == 1);
}
