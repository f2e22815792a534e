// SPDX-License-Identifier: Apache-2.0
/// \file
/// The global allocation functions of this program count their calls.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "backend/every_algorithm.hpp"

namespace {
std::atomic<long> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
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

TEST_CASE_TEMPLATE("no algorithm allocates once the largest call has been seen", C, INFALIGN_CONFIGURATIONS) {
  infalign::test::every_algorithm<C> all;
  typename C::backend on;
  const long before = allocations;
  all.run(on);
  const long first = allocations;
  CHECK(first > before);  // the counter counts
  all.run(on);
  CHECK(allocations == first);
}
