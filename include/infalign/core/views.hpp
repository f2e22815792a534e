// SPDX-License-Identifier: Apache-2.0
/// \file
/// Non-owning views: `span` (one dimension), `rows` (a matrix of equally long rows) and `ragged` (groups of any length).
///
/// A *group* is what belongs to one prompt: its reference rewards, the rewards of its rollouts, or one row of logits.
/// `rows` and `ragged` satisfy the same concept, `grouped`, so every algorithm takes either.
///
/// The memory space is part of the type: a view of host memory handed to a backend that works on other memory does not
/// compile. Constness is that of the element type: `rows<const float>` reads, `rows<float>` writes.
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <ranges>
#include <type_traits>

#include "infalign/core/config.hpp"

namespace infalign {

/// The memory space of ordinary C++ objects.
struct host_memory {};

/// A contiguous sequence of `T` in memory `Space`. Host spans convert from any contiguous range (`std::vector`, `std::span`).
template <class T, class Space = host_memory>
class span {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using memory_space = Space;

  constexpr span() = default;
  INFALIGN_HD constexpr span(T* data, index_t size) : data_(data), size_(size) {}
  template <class U>
    requires(std::is_convertible_v<U (*)[], T (*)[]> && !std::same_as<U, T>)
  INFALIGN_HD constexpr span(const span<U, Space>& other) : data_(other.data()), size_(other.size()) {}
  template <std::ranges::contiguous_range R>
    requires(std::same_as<Space, host_memory> && std::ranges::sized_range<R> &&
             std::is_convertible_v<std::remove_reference_t<std::ranges::range_reference_t<R>> (*)[], T (*)[]> &&
             !requires { typename std::remove_cvref_t<R>::memory_space; })  // a view of ours, perhaps of other memory
  constexpr span(R&& range) : data_(std::ranges::data(range)), size_(static_cast<index_t>(std::ranges::size(range))) {}

  [[nodiscard]] INFALIGN_HD constexpr T* data() const { return data_; }
  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return size_; }
  [[nodiscard]] INFALIGN_HD constexpr bool empty() const { return size_ == 0; }
  INFALIGN_HD constexpr T& operator[](index_t i) const { return data_[i]; }
  [[nodiscard]] INFALIGN_HD constexpr T* begin() const { return data_; }
  [[nodiscard]] INFALIGN_HD constexpr T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  index_t size_ = 0;
};

template <std::ranges::contiguous_range R>
  requires(!requires { typename std::remove_cvref_t<R>::memory_space; })
span(R&&) -> span<std::remove_reference_t<std::ranges::range_reference_t<R>>>;

/// A row-major matrix: `size()` rows of `columns()` values each; consecutive rows start `stride()` elements apart.
template <class T, class Space = host_memory>
class rows {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using memory_space = Space;

  constexpr rows() = default;
  INFALIGN_HD constexpr rows(T* data, index_t n_rows, index_t n_columns) : rows(data, n_rows, n_columns, n_columns) {}
  INFALIGN_HD constexpr rows(T* data, index_t n_rows, index_t n_columns, index_t stride)
      : data_(data), rows_(n_rows), columns_(n_columns), stride_(stride) {}
  template <class U>
    requires(std::is_convertible_v<U (*)[], T (*)[]> && !std::same_as<U, T>)
  INFALIGN_HD constexpr rows(const rows<U, Space>& other) : rows(other.data(), other.size(), other.columns(), other.stride()) {}

  [[nodiscard]] INFALIGN_HD constexpr T* data() const { return data_; }
  /// Number of groups (rows).
  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return rows_; }
  [[nodiscard]] INFALIGN_HD constexpr index_t columns() const { return columns_; }
  [[nodiscard]] INFALIGN_HD constexpr index_t stride() const { return stride_; }
  [[nodiscard]] INFALIGN_HD constexpr bool empty() const { return rows_ == 0; }
  /// Row `g`.
  INFALIGN_HD constexpr span<T, Space> operator[](index_t g) const { return {data_ + g * stride_, columns_}; }
  /// Number of values in the groups before `g`. In a packed copy the first value of `g` is at this position.
  [[nodiscard]] INFALIGN_HD constexpr index_t offset(index_t g) const { return g * columns_; }
  /// Number of values of all groups.
  [[nodiscard]] INFALIGN_HD constexpr index_t total() const { return rows_ * columns_; }

 private:
  T* data_ = nullptr;
  index_t rows_ = 0;
  index_t columns_ = 0;
  index_t stride_ = 0;
};

/// Groups of any length, packed one after another: group `g` is `values[offsets[g] … offsets[g+1])`, with
/// `offsets[0] = 0`, `offsets` one longer than the number of groups and its last entry the number of values.
template <class T, class Space = host_memory>
class ragged {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using memory_space = Space;

  constexpr ragged() = default;
  INFALIGN_HD constexpr ragged(span<T, Space> values, span<const index_t, Space> offsets)
      : values_(values), offsets_(offsets) {}
  template <class U>
    requires(std::is_convertible_v<U (*)[], T (*)[]> && !std::same_as<U, T>)
  INFALIGN_HD constexpr ragged(const ragged<U, Space>& other) : ragged(other.values(), other.offsets()) {}

  [[nodiscard]] INFALIGN_HD constexpr T* data() const { return values_.data(); }
  [[nodiscard]] INFALIGN_HD constexpr span<T, Space> values() const { return values_; }
  [[nodiscard]] INFALIGN_HD constexpr span<const index_t, Space> offsets() const { return offsets_; }
  /// Number of groups.
  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return offsets_.empty() ? 0 : offsets_.size() - 1; }
  [[nodiscard]] INFALIGN_HD constexpr bool empty() const { return size() == 0; }
  /// Group `g`.
  INFALIGN_HD constexpr span<T, Space> operator[](index_t g) const {
    return {values_.data() + offsets_[g], offsets_[g + 1] - offsets_[g]};
  }
  /// Number of values before group `g`.
  [[nodiscard]] INFALIGN_HD constexpr index_t offset(index_t g) const { return offsets_[g]; }
  /// Number of values of all groups.
  [[nodiscard]] INFALIGN_HD constexpr index_t total() const { return values_.size(); }

 private:
  span<T, Space> values_;
  span<const index_t, Space> offsets_;
};

/// `rows` or `ragged`.
template <class G>
concept grouped = std::copyable<G> && requires(const G& groups, index_t g) {
  typename G::element_type;
  typename G::value_type;
  typename G::memory_space;
  { groups.size() } -> std::same_as<index_t>;
  { groups.total() } -> std::same_as<index_t>;
  { groups.offset(g) } -> std::same_as<index_t>;
  { groups[g] } -> std::same_as<span<typename G::element_type, typename G::memory_space>>;
};

/// Groups that can be written.
template <class G>
concept writable_groups = grouped<G> && !std::is_const_v<typename G::element_type>;

}  // namespace infalign
