// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace command {

/// A sequence in blocks. It grows without moving its values, and `consume` frees each block as soon as it has been read.
template <class T>
class segmented {
 public:
  void push_back(const T& value) {
    if (size_ % segment == 0) segments_.push_back(std::make_unique_for_overwrite<T[]>(segment));
    segments_.back()[size_++ % segment] = value;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  T& back() { return segments_.back()[(size_ - 1) % segment]; }

  /// Calls `f` with every value, in order. Afterwards the sequence is empty.
  template <class F>
  void consume(F&& f) {
    for (std::size_t i = 0; i < size_; ++i) {
      f(segments_[i / segment][i % segment]);
      if ((i + 1) % segment == 0) segments_[i / segment].reset();
    }
    segments_.clear();
    size_ = 0;
  }
  template <class F>
  void for_each(F&& f) const {
    for (std::size_t i = 0; i < size_; ++i) f(segments_[i / segment][i % segment]);
  }

 private:
  static constexpr std::size_t segment = std::size_t{1} << 17;  // of 1 MiB: the allocator gives such blocks back to the system
  std::vector<std::unique_ptr<T[]>> segments_;
  std::size_t size_ = 0;
};

}  // namespace command
