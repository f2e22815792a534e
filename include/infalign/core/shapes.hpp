// SPDX-License-Identifier: Apache-2.0
/// \file
/// The shapes that groups come in, in one place. An algorithm asks `shape<G>`, never which of them `G` is. Another shape is a view in
/// `views.hpp` and what this file says of it.
#pragma once

#include <type_traits>

#include "infalign/core/views.hpp"

namespace infalign {

/// What algorithms ask about groups `G` beside what the view says itself:
/// - `equal_sizes`: are all groups equally long, by type? Then a size is known without reading memory.
/// - `size_of(read, groups, g)`, `offset_of(read, groups, g)`: the size of a group, and the number of values before it (also for
///   `g = groups.size()`), where `read(p)` is the value at `p` in the memory of the groups.
/// - `sizes(at, groups)`: the sizes of several groups at a time, in the lanes of the position `at`.
/// - `is_packed(groups)`: is there no gap between a group and the next?
/// - `offsets(groups)`: what in memory says where groups begin, for a copy of the shape; empty for rows.
/// - `over(values, groups, offsets)`: the same shape over packed `values`, with `offsets`, a copy of its own.
template <class G>
struct shape;

template <class T, class Space>
struct shape<rows<T, Space>> {
  using groups_type = rows<T, Space>;
  static constexpr bool equal_sizes = true;
  template <class Read>
  static index_t size_of(const Read&, const groups_type& groups, index_t) {
    return groups.columns();
  }
  template <class Read>
  static index_t offset_of(const Read&, const groups_type& groups, index_t g) {
    return groups.offset(g);
  }
  template <class At>
  INFALIGN_HD static auto sizes(At at, const groups_type& groups) {
    return decltype(at.load(static_cast<const index_t*>(nullptr)))(groups.columns());
  }
  static bool is_packed(const groups_type& groups) { return groups.stride() == groups.columns() || groups.size() <= 1; }
  static span<const index_t, Space> offsets(const groups_type&) { return {}; }
  template <class U>
  static rows<U, Space> over(U* values, const groups_type& groups, span<const index_t, Space>) {
    return {values, groups.size(), groups.columns()};
  }
};

template <class T, class Space>
struct shape<ragged<T, Space>> {
  using groups_type = ragged<T, Space>;
  static constexpr bool equal_sizes = false;
  template <class Read>
  static index_t size_of(const Read& read, const groups_type& groups, index_t g) {
    return read(groups.offsets().data() + g + 1) - read(groups.offsets().data() + g);
  }
  template <class Read>
  static index_t offset_of(const Read& read, const groups_type& groups, index_t g) {
    return g == 0 ? 0 : g == groups.size() ? groups.total() : read(groups.offsets().data() + g);
  }
  template <class At>
  INFALIGN_HD static auto sizes(At at, const groups_type& groups) {
    const index_t* offsets = groups.offsets().data();
    return at.load(offsets + 1) - at.load(offsets);
  }
  static bool is_packed(const groups_type&) { return true; }
  static span<const index_t, Space> offsets(const groups_type& groups) { return groups.offsets(); }
  template <class U>
  static ragged<U, Space> over(U* values, const groups_type& groups, span<const index_t, Space> offsets) {
    return {{values, groups.total()}, offsets};
  }
};

/// `rows` or `ragged` in one type, told apart at run time. Kernels take it, so that they are compiled once for both.
template <class T, class Space>
class any_groups {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using memory_space = Space;

  INFALIGN_HD constexpr any_groups(const rows<T, Space>& groups)
      : data_(groups.data()), size_(groups.size()), columns_(groups.columns()), stride_(groups.stride()) {}
  INFALIGN_HD constexpr any_groups(const ragged<T, Space>& groups)
      : data_(groups.data()), size_(groups.size()), offsets_(groups.offsets().data()), total_(groups.total()) {}

  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return size_; }
  INFALIGN_HD constexpr span<T, Space> operator[](index_t g) const {
    if (offsets_ == nullptr) return {data_ + g * stride_, columns_};
    return {data_ + offsets_[g], offsets_[g + 1] - offsets_[g]};
  }
  [[nodiscard]] INFALIGN_HD constexpr index_t offset(index_t g) const {
    return offsets_ == nullptr ? g * columns_ : offsets_[g];
  }
  [[nodiscard]] INFALIGN_HD constexpr index_t total() const { return offsets_ == nullptr ? size_ * columns_ : total_; }

 private:
  T* data_;
  index_t size_;
  index_t columns_ = 0;
  index_t stride_ = 0;
  const index_t* offsets_ = nullptr;
  index_t total_ = 0;
};
template <class G>
any_groups(const G&) -> any_groups<typename G::element_type, typename G::memory_space>;

/// Groups of the same sizes over other values, which are packed in the same order. Rows become rows without padding; ragged
/// groups share their offsets.
template <class U, class T, class Space>
INFALIGN_HD constexpr rows<U, Space> packed_like(const rows<T, Space>& shape, U* values) {
  return {values, shape.size(), shape.columns()};
}
template <class U, class T, class Space>
INFALIGN_HD constexpr ragged<U, Space> packed_like(const ragged<T, Space>& shape, U* values) {
  return {{values, shape.total()}, shape.offsets()};
}

}  // namespace infalign
