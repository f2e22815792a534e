// SPDX-License-Identifier: Apache-2.0
/// \file
/// Eigen matrices and vectors as views, without a copy; Eigen's matrix product for the library.
#pragma once

#include <Eigen/Core>
#include <concepts>
#include <type_traits>

#include "infalign/core/product_form.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

namespace detail {
/// A matrix, vector, `Map`, `Ref` or block of one: what has its coefficients in memory.
template <class M>
concept eigen_memory = std::derived_from<M, Eigen::DenseBase<M>> && requires(M& matrix) { matrix.data(); };

template <eigen_memory M>
inline constexpr bool without_gaps = M::InnerStrideAtCompileTime == 1;
template <eigen_memory M>
inline constexpr bool owns_coefficients = std::derived_from<M, Eigen::PlainObjectBase<M>>;
}  // namespace detail

/// The rows of a row-major matrix, map or block as groups. Writable if `matrix` is. A column-major matrix does not compile:
/// its rows are not contiguous (its transpose's rows are).
template <class Matrix>
  requires detail::eigen_memory<std::remove_cvref_t<Matrix>>
auto as_rows(Matrix&& matrix) {
  using M = std::remove_cvref_t<Matrix>;
  static_assert(M::IsRowMajor, "as_rows needs a row-major matrix");
  static_assert(detail::without_gaps<M>, "as_rows needs rows without gaps");
  using T = std::remove_pointer_t<decltype(matrix.data())>;
  return rows<T>(matrix.data(), matrix.rows(), matrix.cols(), matrix.outerStride());
}

/// The coefficients of a vector, or of a whole matrix in its storage order. Writable if `values` is.
template <class Values>
  requires detail::eigen_memory<std::remove_cvref_t<Values>>
auto as_span(Values&& values) {
  using V = std::remove_cvref_t<Values>;
  static_assert(detail::owns_coefficients<V> || V::IsVectorAtCompileTime, "as_span needs a vector or a whole matrix");
  static_assert(detail::without_gaps<V>, "as_span needs values without gaps");
  using T = std::remove_pointer_t<decltype(values.data())>;
  return span<T>(values.data(), values.size());
}

/// The matrix product that `hidden_policy_gradient` asks for, by Eigen, of `float` or `double` in host memory.
struct eigen_product {
  template <class T>
  void operator()(const rows<const T>& left, const rows<const T>& right, const rows<T>& out, const product_form& form) const {
    using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using distance = Eigen::OuterStride<>;
    using input = Eigen::Map<const matrix, 0, distance>;
    const input a(left.data(), left.size(), left.columns(), distance(left.stride()));
    const input b(right.data(), right.size(), right.columns(), distance(right.stride()));
    Eigen::Map<matrix, 0, distance> c(out.data(), out.size(), out.columns(), distance(out.stride()));
    const auto store = [&](const auto& product) {
      if (form.adds)
        c.noalias() += product;
      else
        c.noalias() = product;
    };
    if (form.transposes_left && form.transposes_right)
      store(a.transpose() * b.transpose());
    else if (form.transposes_left)
      store(a.transpose() * b);
    else if (form.transposes_right)
      store(a * b.transpose());
    else
      store(a * b);
  }
};

}  // namespace infalign
