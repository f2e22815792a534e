// SPDX-License-Identifier: Apache-2.0
/// \file
/// Rows of equal length that lie anywhere in memory: what a trainer's tensor of logits is, without a copy.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// Rows of `columns()` consecutive values each, at one of three kinds of places, told apart at run time so that kernels are compiled
/// once:
///
/// \code
/// rows(data, T, V, stride)                        // at equal distances; converts to any_rows
/// strided_rows(data, B, L, V, batch_stride, row_stride)  // token (b, t) of a [B, L, V] tensor: row b·L + t
/// rows_at(values, offsets, V)                     // row t begins at values[offsets[t]]: packed sequences, holes, any order
/// \endcode
///
/// The slice `logits[:, P-1:-1]` of a PyTorch tensor `[B, S, V]` with strides `s` is
/// `strided_rows(data + (P-1)·s[1], B, S-P, V, s[0], s[1])`.
template <class T, class Space = host_memory>
class any_rows {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using memory_space = Space;

  constexpr any_rows() = default;
  INFALIGN_HD constexpr any_rows(T* data, index_t n_rows, index_t n_columns) : any_rows(data, n_rows, n_columns, n_columns) {}
  INFALIGN_HD constexpr any_rows(T* data, index_t n_rows, index_t n_columns, index_t stride)
      : data_(data), size_(n_rows), columns_(n_columns), length_(n_rows), stride_(stride) {}
  template <class U>
    requires std::is_convertible_v<U (*)[], T (*)[]>
  INFALIGN_HD constexpr any_rows(const rows<U, Space>& other)
      : any_rows(other.data(), other.size(), other.columns(), other.stride()) {}
  template <class U>
    requires(std::is_convertible_v<U (*)[], T (*)[]> && !std::same_as<U, T>)
  INFALIGN_HD constexpr any_rows(const any_rows<U, Space>& other)
      : data_(other.data()),
        size_(other.size()),
        columns_(other.columns()),
        length_(other.length()),
        stride_(other.stride()),
        batch_stride_(other.batch_stride()),
        offsets_(other.offsets().data()),
        extent_(other.extent()),
        is_packed_(other.is_packed()) {}

  /// `batch` times `length` rows.
  static constexpr any_rows strided(T* data, index_t batch, index_t length, index_t columns, index_t batch_stride,
                                    index_t row_stride) {
    any_rows result(data, batch * length, columns, row_stride);
    result.length_ = length;
    result.batch_stride_ = batch_stride;
    return result;
  }
  /// A row for each of `offsets`, within `values`.
  static constexpr any_rows at(span<T, Space> values, span<const index_t, Space> offsets, index_t columns) {
    any_rows result(values.data(), offsets.size(), columns);
    result.offsets_ = offsets.data();
    result.extent_ = values.size();
    return result;
  }

  /// Row `t` is `values[offsets[t] … offsets[t+1])`; none is longer than `columns`.
  static constexpr any_rows packed(span<T, Space> values, span<const index_t, Space> offsets, index_t columns) {
    any_rows result = at(values, {offsets.data(), offsets.size() - 1}, columns);
    result.is_packed_ = true;
    return result;
  }

  [[nodiscard]] INFALIGN_HD constexpr T* data() const { return data_; }
  /// Number of rows.
  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return size_; }
  [[nodiscard]] INFALIGN_HD constexpr bool empty() const { return size_ == 0; }
  [[nodiscard]] INFALIGN_HD constexpr index_t columns() const { return columns_; }
  /// Number of values of all rows.
  [[nodiscard]] INFALIGN_HD constexpr index_t total() const { return is_packed_ ? extent_ : size_ * columns_; }
  /// Row `t`.
  INFALIGN_HD constexpr span<T, Space> operator[](index_t t) const {
    if (offsets_ != nullptr) return {data_ + offsets_[t], is_packed_ ? offsets_[t + 1] - offsets_[t] : columns_};
    if (length_ == size_) return {data_ + t * stride_, columns_};
    return {data_ + (t / length_ * batch_stride_ + t % length_ * stride_), columns_};
  }

  /// Rows at equal distances, one after another; their number if there is no more than one such run.
  [[nodiscard]] INFALIGN_HD constexpr index_t length() const { return length_; }
  [[nodiscard]] INFALIGN_HD constexpr index_t stride() const { return stride_; }
  [[nodiscard]] INFALIGN_HD constexpr index_t batch_stride() const { return batch_stride_; }
  /// Where rows begin, if that is said row by row; else empty.
  [[nodiscard]] INFALIGN_HD constexpr span<const index_t, Space> offsets() const {
    return {offsets_, offsets_ == nullptr ? 0 : size_};
  }
  /// Whether rows have lengths of their own: those that `packed` made.
  [[nodiscard]] INFALIGN_HD constexpr bool is_packed() const { return is_packed_; }
  /// How many values there are behind `data()`, if offsets are given.
  [[nodiscard]] INFALIGN_HD constexpr index_t extent() const { return extent_; }

 private:
  T* data_ = nullptr;
  index_t size_ = 0;
  index_t columns_ = 0;
  index_t length_ = 0;
  index_t stride_ = 0;
  index_t batch_stride_ = 0;
  const index_t* offsets_ = nullptr;
  index_t extent_ = 0;
  bool is_packed_ = false;
};
template <class T, class Space>
any_rows(const rows<T, Space>&) -> any_rows<T, Space>;
template <class T, class Space>
any_rows(const any_rows<T, Space>&) -> any_rows<T, Space>;

/// What `any_rows` can be made of.
template <class R>
concept rowwise = requires(const R& r) { any_rows(r); };

/// Row `b·length + t` begins at `data + b·batch_stride + t·row_stride`, for `b < batch` and `t < length`. The dimensions may lie either
/// way round (`[L, B, V]`), but rows must not overlap. Errors: `shape_error`, also for sizes that memory cannot hold.
template <class Space = host_memory, class T>
any_rows<T, Space> strided_rows(T* data, index_t batch, index_t length, index_t columns, index_t batch_stride,
                                index_t row_stride) {
  constexpr const char* function = "strided_rows";
  constexpr index_t most = std::numeric_limits<index_t>::max() / static_cast<index_t>(sizeof(T));
  expects<shape_error>(batch >= 0 && length >= 0 && columns >= 0, function, "there are ", batch, " x ", length, " rows of ",
                       columns, " values, sizes must not be negative");
  if (batch == 0 || length == 0) return any_rows<T, Space>(data, 0, columns);
  // The dimension whose rows lie closer together is the inner one. A dimension of one row has no stride.
  const index_t row = length == 1 ? 0 : row_stride, outer = batch == 1 ? 0 : batch_stride;
  const bool rows_are_inner = batch == 1 || (length > 1 && row <= outer);
  const index_t near = rows_are_inner ? row : outer, far = rows_are_inner ? outer : row;
  const index_t inner = rows_are_inner ? length : batch, count = rows_are_inner ? batch : length;
  expects<shape_error>(inner == 1 || near >= columns, function, "rows of ", columns, " values lie ", near,
                       " apart, they must not overlap");
  expects<shape_error>(inner == 1 || near <= most / inner, function, inner, " rows lie ", near,
                       " values apart, more than memory can hold");
  const index_t extent = (inner - 1) * near + columns;
  expects<shape_error>(count == 1 || far >= extent, function, "runs of ", extent, " values lie ", far,
                       " apart, they must not overlap");
  expects<shape_error>(std::max({count == 1 ? 0 : far, extent, inner}) <= most / count, function, count, " runs of rows lie ",
                       std::max({far, extent, inner}), " values apart, more than memory can hold");
  if (batch == 1) return any_rows<T, Space>(data, length, columns, row_stride);
  if (length == 1) return any_rows<T, Space>(data, batch, columns, batch_stride);
  return any_rows<T, Space>::strided(data, batch, length, columns, batch_stride, row_stride);
}

/// Row `t` is `values[offsets[t] … offsets[t] + columns)`; `offsets` lie in the memory of the values. Any order, and rows twice, where
/// they are read; a gradient's must ascend and not overlap. What takes the view checks offsets.
template <class Values, class Offsets>
auto rows_at(Values&& values, const Offsets& offsets, index_t columns) {
  const span all(values);
  using S = std::remove_cv_t<decltype(all)>;
  return any_rows<typename S::element_type, typename S::memory_space>::at(all, span(offsets), columns);
}

}  // namespace infalign
