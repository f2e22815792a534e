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

TEST_CASE("what a map, a reference or a block shows can be written through it") {
  double values[] = {1, 2, 3, 4, 5, 6};
  Eigen::Map<RowMajor> map(values, 2, 3);
  infalign::as_rows(map)[1][0] = 40;
  infalign::as_rows(Eigen::Map<RowMajor>(values, 3, 2))[0][1] = 20;
  CHECK(values[3] == 40);
  CHECK(values[1] == 20);
  static_assert(std::is_same_v<decltype(infalign::as_rows(std::as_const(map))), infalign::rows<const double>>);

  RowMajor m = RowMajor::Zero(3, 4);
  const auto block = infalign::as_rows(m.block(1, 2, 2, 2));
  CHECK(block.size() == 2);
  CHECK(block.columns() == 2);
  block[1][0] = 7;
  CHECK(m(2, 2) == 7);
  infalign::as_rows(Eigen::Ref<RowMajor>(m))[0][3] = 9;
  CHECK(m(0, 3) == 9);
  static_assert(std::is_same_v<decltype(infalign::as_rows(std::as_const(m).topRows(1))), infalign::rows<const double>>);
}

TEST_CASE("vectors are spans, wherever they lie") {
  Eigen::MatrixXd columns(2, 3);
  columns << 1, 2, 3, 4, 5, 6;
  infalign::as_span(columns.col(1))[1] = 50;
  CHECK(columns(1, 1) == 50);
  CHECK(infalign::as_span(std::as_const(columns))[2] == 2);  // in storage order, column after column
  float values[] = {1, 2};
  const auto map = infalign::as_span(Eigen::Map<const Eigen::VectorXf>(values, 2));
  static_assert(std::is_same_v<decltype(map), const infalign::span<const float>>);
  CHECK(map.data() == values);
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
