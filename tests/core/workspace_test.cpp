// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/workspace.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

using infalign::index_t;

namespace {

struct counts {
  int allocated = 0;
  int released = 0;
};

/// A memory resource that counts.
struct counting_resource {
  counts* count;
  [[nodiscard]] void* allocate(std::size_t bytes) const {
    ++count->allocated;
    return infalign::host_resource{}.allocate(bytes);
  }
  void deallocate(void* memory, std::size_t bytes) const noexcept {
    ++count->released;
    infalign::host_resource{}.deallocate(memory, bytes);
  }
};

using counted_workspace = infalign::basic_workspace<counting_resource>;

bool aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
}

/// What an algorithm does: an outer frame, an inner one in a function it calls, one more array afterwards.
void use(counted_workspace& space, index_t n) {
  counted_workspace::frame outer(space);
  double* const a = outer.take<double>(n);
  for (index_t i = 0; i < n; ++i) a[i] = 1;
  {
    counted_workspace::frame inner(space);
    float* const b = inner.take<float>(3 * n);
    for (index_t i = 0; i < 3 * n; ++i) b[i] = 2;
  }
  char* const c = outer.take<char>(n);
  for (index_t i = 0; i < n; ++i) c[i] = 'c';
  for (index_t i = 0; i < n; ++i) REQUIRE(a[i] == 1);
}

}  // namespace

TEST_CASE("the second identical use of a workspace allocates nothing") {
  counts count;
  {
    counted_workspace space(counting_resource{&count});
    for (const index_t n : {1, 100, 5000, 100'000}) {
      use(space, n);
      const int after_first = count.allocated;
      use(space, n);
      CHECK(count.allocated == after_first);
    }
    const int after_largest = count.allocated;
    for (const index_t n : {100'000, 1, 100, 5000}) use(space, n);
    CHECK(count.allocated == after_largest);
    CHECK(count.released == 0);
  }
  CHECK(count.released == count.allocated);
}

TEST_CASE("arrays of a frame are aligned and do not overlap") {
  infalign::workspace space;
  infalign::workspace::frame frame(space);
  char* previous_end = nullptr;
  for (const index_t n : {1, 63, 64, 65, 7}) {
    char* const p = frame.take<char>(n);
    CHECK(aligned(p));
    if (previous_end != nullptr) CHECK(p >= previous_end);
    previous_end = p + n;
  }
  CHECK(aligned(frame.take<double>(100'000)));
  CHECK(frame.take<double>(0) != nullptr);
}

TEST_CASE("a frame's end gives its memory back, also when frames nest") {
  infalign::workspace space;
  int* first = nullptr;
  {
    infalign::workspace::frame outer(space);
    int* const kept = outer.take<int>(10);
    {
      infalign::workspace::frame inner(space);
      first = inner.take<int>(10);
      CHECK(first != kept);
    }
    CHECK(outer.take<int>(10) == first);
  }
}

TEST_CASE("a copy of a workspace starts empty, a moved one keeps its memory") {
  counts count;
  {
    counted_workspace space(counting_resource{&count});
    use(space, 1000);
    const int before = count.allocated;
    counted_workspace copy(space);
    use(copy, 1000);
    CHECK(count.allocated == 2 * before);
    counted_workspace moved(std::move(space));
    use(moved, 1000);
    CHECK(count.allocated == 2 * before);
    copy = std::move(moved);
    use(copy, 1000);
    CHECK(count.allocated == 2 * before);
  }
  CHECK(count.released == count.allocated);
}
