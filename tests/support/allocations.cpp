// SPDX-License-Identifier: Apache-2.0
#include "support/allocations.hpp"

// A sanitizer for threads brings allocation functions of its own.
#if defined(__SANITIZE_THREAD__)
#define INFALIGN_COUNT_ALLOCATIONS 0
#elif defined(__has_feature)
#define INFALIGN_COUNT_ALLOCATIONS !__has_feature(thread_sanitizer)
#else
#define INFALIGN_COUNT_ALLOCATIONS 1
#endif

#if INFALIGN_COUNT_ALLOCATIONS
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
std::atomic<long> calls{0};
std::atomic<long> until_failure{-1};

void* counted(std::size_t bytes, std::size_t alignment) {
  ++calls;
  if (until_failure >= 0 && until_failure-- == 0) throw std::bad_alloc();
  void* const memory = std::aligned_alloc(alignment, (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

// GCC does not see that the functions it pairs are both ours.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t bytes) {
  return counted(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

long infalign::test::allocations() {
  return calls;
}
void infalign::test::fail_allocation(long further) {
  until_failure = further;
}
#else
long infalign::test::allocations() {
  return -1;
}
void infalign::test::fail_allocation(long) {}
#endif
