// SPDX-License-Identifier: Apache-2.0
/// \file
/// Multidimensional spans as views, without a copy: `std::mdspan`, Kokkos' `mdspan`, and types with their interface.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>

#include "infalign/interop/detail/strided_tensor.hpp"

namespace infalign {

namespace detail {

/// What of `std::mdspan` is used here. `data_handle()` must be a pointer, so an accessor that computes values is none.
template <class M>
concept mdspan_like = requires(const M& m, typename M::rank_type d) {
  typename M::element_type;
  { M::rank() } -> std::convertible_to<std::size_t>;
  { m.extent(d) } -> std::convertible_to<index_t>;
  { m.stride(d) } -> std::convertible_to<index_t>;
  { m.data_handle() } -> std::convertible_to<const typename M::element_type*>;
};

template <mdspan_like M>
strided_tensor strided_tensor_of(std::string_view function, const M& m) {
  using rank_type = typename M::rank_type;
  constexpr int rank = static_cast<int>(M::rank());
  using value = std::remove_const_t<typename M::element_type>;
  return strided_tensor_of(
      function, const_cast<value*>(m.data_handle()), rank, rank, rank,
      [&](int d) { return m.extent(static_cast<rank_type>(d)); }, [&](int d) { return m.stride(static_cast<rank_type>(d)); });
}

}  // namespace detail

/// A one-dimensional span. `Space`: the memory that it shows. Errors: `shape_error` unless its values lie next to each other.
template <class Space = host_memory, detail::mdspan_like M>
span<typename M::element_type, Space> as_span(const M& values) {
  static_assert(M::rank() == 1, "infalign: as_span needs one dimension");
  return detail::span_of<typename M::element_type, Space>(detail::strided_tensor_of("as_span", values));
}

/// The rows of a two-dimensional span as groups, at any distance (`layout_right`, padded, a submatrix). Errors: `shape_error` unless the
/// values of a row lie next to each other: a `layout_left` matrix does not fit.
template <class Space = host_memory, detail::mdspan_like M>
rows<typename M::element_type, Space> as_rows(const M& matrix) {
  static_assert(M::rank() == 2, "infalign: as_rows needs two dimensions");
  return detail::rows_of<typename M::element_type, Space>("as_rows", detail::strided_tensor_of("as_rows", matrix));
}

/// The rows of a matrix or of a batch `[B, L, V]`, for `token_logits` and its gradient: row `b·L + t`. Any strides, as long as rows do not
/// overlap and the values of a row lie next to each other; else `shape_error`.
template <class Space = host_memory, detail::mdspan_like M>
any_rows<typename M::element_type, Space> as_token_rows(const M& batch) {
  static_assert(M::rank() == 2 || M::rank() == 3, "infalign: as_token_rows needs two or three dimensions");
  return detail::any_rows_of<typename M::element_type, Space>("as_token_rows",
                                                              detail::strided_tensor_of("as_token_rows", batch));
}

}  // namespace infalign
