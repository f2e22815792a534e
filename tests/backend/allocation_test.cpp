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

TEST_CASE_TEMPLATE("nor does calibration, whatever the tie rule, the algorithm and the shape", C, INFALIGN_CONFIGURATIONS) {
  using namespace infalign;
  using T = typename C::value;
  typename C::template array<T> z(test::tied_values<T>(600, 1, 30)), y(test::tied_values<T>(120, 2, 30)), out(120);
  typename C::template array<index_t> z_offsets({0, 1, 351, 600}), y_offsets({0, 70, 70, 120});
  typename C::backend on;
  const auto run = [&] {
    for (const auto rule : {tie_rule::mid_rank(), tie_rule::below(), tie_rule::at_or_below(), tie_rule::randomized(3)})
      for (const auto algorithm : {rank_algorithm::automatic, rank_algorithm::counting, rank_algorithm::sorting}) {
        const calibration_options options{rule, algorithm};
        calibrate(on, z.rows(3, 200), y.rows(3, 40), out.rows(3, 40), options);
        calibrate(on, z.ragged(z_offsets), y.ragged(y_offsets), out.ragged(y_offsets), options);
        calibrate_transform(on, z.rows(3, 200), y.rows(3, 40), exponential(3), out.rows(3, 40), options);
        calibrate_weighted(on, z.rows(3, 200), z.rows(3, 200), y.rows(3, 40), out.rows(3, 40), options);
        calibrate_leave_one_out(on, y.rows(3, 40), out.rows(3, 40), options);
      }
  };
  run();
  const long first = allocations;
  run();
  CHECK(allocations == first);
}
