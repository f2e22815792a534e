// SPDX-License-Identifier: Apache-2.0
/// \file
/// Eigen matrices and vectors as views, without a copy.
#pragma once

#include <Eigen/Core>

#include "infalign/core/views.hpp"

namespace infalign {

/// The rows of a row-major matrix, map or block as groups. Writable if `matrix` is. A column-major matrix does not compile:
/// its rows are not contiguous (its transpose's rows are).
template <class Derived>
auto as_rows(Eigen::PlainObjectBase<Derived>& matrix) {
  static_assert(Derived::IsRowMajor, "as_rows needs a row-major matrix");
  return rows<typename Derived::Scalar>(matrix.data(), matrix.rows(), matrix.cols(), matrix.outerStride());
}
template <class Derived>
auto as_rows(const Eigen::PlainObjectBase<Derived>& matrix) {
  static_assert(Derived::IsRowMajor, "as_rows needs a row-major matrix");
  return rows<const typename Derived::Scalar>(matrix.data(), matrix.rows(), matrix.cols(), matrix.outerStride());
}
template <class Plain, int Options, class Stride>
auto as_rows(const Eigen::Map<Plain, Options, Stride>& matrix) {
  static_assert(Eigen::Map<Plain, Options, Stride>::IsRowMajor, "as_rows needs a row-major map");
  static_assert(Eigen::Map<Plain, Options, Stride>::InnerStrideAtCompileTime == 1, "as_rows needs rows without gaps");
  using T = std::remove_pointer_t<decltype(matrix.data())>;
  return rows<T>(const_cast<T*>(matrix.data()), matrix.rows(), matrix.cols(), matrix.outerStride());
}

/// The coefficients of a vector, or of a whole matrix in its storage order.
template <class Derived>
auto as_span(Eigen::PlainObjectBase<Derived>& values) {
  return span<typename Derived::Scalar>(values.data(), values.size());
}
template <class Derived>
auto as_span(const Eigen::PlainObjectBase<Derived>& values) {
  return span<const typename Derived::Scalar>(values.data(), values.size());
}

}  // namespace infalign
