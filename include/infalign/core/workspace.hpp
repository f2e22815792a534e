// SPDX-License-Identifier: Apache-2.0
/// \file
/// Host scratch memory that is allocated once and reused: an algorithm opens a frame, takes arrays from it, and the frame's
/// end gives them back. Once the largest call has been seen, no call allocates.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign {

class workspace {
 public:
  workspace() = default;
  workspace(workspace&&) noexcept = default;
  workspace& operator=(workspace&&) noexcept = default;
  /// A copy starts empty: scratch memory carries no value.
  workspace(const workspace&) noexcept {}
  workspace& operator=(const workspace&) noexcept { return *this; }

  /// Arrays taken through a frame live until the frame ends. Frames nest.
  class frame {
   public:
    explicit frame(workspace& owner) : owner_(owner), block_(owner.block_), used_(owner.used_) {}
    frame(const frame&) = delete;
    frame& operator=(const frame&) = delete;
    ~frame() {
      owner_.block_ = block_;
      owner_.used_ = used_;
    }
    /// `n` uninitialised values, aligned to 64 bytes.
    template <class T>
    T* take(index_t n) {
      static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
      return static_cast<T*>(owner_.allocate(static_cast<std::size_t>(n) * sizeof(T)));
    }

   private:
    workspace& owner_;
    std::size_t block_;
    std::size_t used_;
  };

 private:
  static constexpr std::size_t alignment = 64;
  struct aligned_delete {
    void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{alignment}); }
  };
  struct block {
    std::unique_ptr<std::byte[], aligned_delete> memory;
    std::size_t size;
  };

  void* allocate(std::size_t bytes) {
    bytes = (bytes + alignment - 1) / alignment * alignment;
    while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) add_block(bytes);
    std::byte* result = blocks_[block_].memory.get() + used_;
    used_ += bytes;
    return result;
  }

  void add_block(std::size_t bytes) {
    const std::size_t last = blocks_.empty() ? std::size_t{1} << 12 : blocks_.back().size;
    const std::size_t size = std::max(bytes, 2 * last);
    blocks_.reserve(blocks_.size() + 1);
    auto* memory = static_cast<std::byte*>(::operator new[](size, std::align_val_t{alignment}));
    blocks_.push_back({std::unique_ptr<std::byte[], aligned_delete>(memory), size});
  }

  std::vector<block> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
};

}  // namespace infalign
