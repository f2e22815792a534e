// SPDX-License-Identifier: Apache-2.0
/// \file
/// Scratch memory that is allocated once and reused. An algorithm opens a frame and takes arrays from it; the end of the frame
/// gives them back. After the largest call, no further call allocates.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign {

/// Where host scratch memory comes from. A memory resource is a copyable value with these two members; memory is aligned to 64
/// bytes at least.
struct host_resource {
  static constexpr std::align_val_t alignment{64};
  [[nodiscard]] void* allocate(std::size_t bytes) const { return ::operator new(bytes, alignment); }
  void deallocate(void* memory, std::size_t) const noexcept { ::operator delete(memory, alignment); }
};

template <class Resource>
class INFALIGN_KEYED basic_workspace {
 public:
  explicit basic_workspace(Resource resource = {}) : resource_(std::move(resource)) {}
  basic_workspace(basic_workspace&& other) noexcept
      : resource_(other.resource_),
        blocks_(std::exchange(other.blocks_, {})),
        current_(std::exchange(other.current_, 0)),
        used_(std::exchange(other.used_, 0)) {}
  /// A copy starts empty: scratch memory carries no value.
  basic_workspace(const basic_workspace& other) : resource_(other.resource_) {}
  basic_workspace& operator=(basic_workspace other) noexcept {
    std::swap(resource_, other.resource_);
    std::swap(blocks_, other.blocks_);
    std::swap(current_, other.current_);
    std::swap(used_, other.used_);
    return *this;
  }
  ~basic_workspace() {
    for (const block& b : blocks_) resource_.deallocate(b.memory, b.size);
  }

  /// Arrays taken through a frame live until the frame ends. Frames nest.
  class frame {
   public:
    explicit frame(basic_workspace& owner) : owner_(owner), current_(owner.current_), used_(owner.used_) {}
    frame(const frame&) = delete;
    frame& operator=(const frame&) = delete;
    ~frame() {
      owner_.current_ = current_;
      owner_.used_ = used_;
    }
    /// `n` uninitialised values, aligned to 64 bytes.
    template <class T>
    T* take(index_t n) {
      static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
      return static_cast<T*>(owner_.allocate(static_cast<std::size_t>(n) * sizeof(T)));
    }

   private:
    basic_workspace& owner_;
    std::size_t current_;
    std::size_t used_;
  };

 private:
  struct block {
    void* memory;
    std::size_t size;
  };

  void* allocate(std::size_t bytes) {
    constexpr std::size_t alignment = 64;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    while (current_ < blocks_.size() && used_ + bytes > blocks_[current_].size) {
      ++current_;
      used_ = 0;
    }
    if (current_ == blocks_.size()) add_block(bytes);
    void* const result = static_cast<std::byte*>(blocks_[current_].memory) + used_;
    used_ += bytes;
    return result;
  }

  void add_block(std::size_t bytes) {
    const std::size_t last = blocks_.empty() ? std::size_t{1} << 12 : blocks_.back().size;
    const std::size_t size = std::max(bytes, 2 * last);
    blocks_.reserve(blocks_.size() + 1);  // so that nothing can throw once the memory is there
    blocks_.push_back({resource_.allocate(size), size});
  }

  Resource resource_;
  std::vector<block> blocks_;
  std::size_t current_ = 0;
  std::size_t used_ = 0;
};

/// Scratch memory of the backends that run on host memory.
using workspace = basic_workspace<host_resource>;

}  // namespace infalign
