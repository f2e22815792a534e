// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/views.hpp"

#include "infalign/core/shapes.hpp"

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <type_traits>
#include <vector>

using infalign::grouped;
using infalign::host_memory;
using infalign::index_t;
using infalign::ragged;
using infalign::rows;
using infalign::writable_groups;

namespace {

struct other_memory {};

// Dense and ragged groups are used through one concept; what can be written is told by the element type.
static_assert(grouped<rows<float>> && grouped<rows<const double>> && grouped<ragged<float>> && grouped<ragged<const double>>);
static_assert(grouped<rows<float, other_memory>> && grouped<ragged<const float, other_memory>>);
static_assert(!grouped<infalign::span<float>> && !grouped<std::vector<float>>);
static_assert(writable_groups<rows<float>> && writable_groups<ragged<float>>);
static_assert(!writable_groups<rows<const float>> && !writable_groups<ragged<const float>>);

// Constness is added, never removed; memory spaces and element types do not mix.
static_assert(std::is_convertible_v<rows<float>, rows<const float>> && !std::is_convertible_v<rows<const float>, rows<float>>);
static_assert(std::is_convertible_v<ragged<float>, ragged<const float>> &&
              !std::is_convertible_v<ragged<const float>, ragged<float>>);
static_assert(std::is_convertible_v<infalign::span<float>, infalign::span<const float>> &&
              !std::is_convertible_v<infalign::span<const float>, infalign::span<float>>);
static_assert(!std::is_convertible_v<rows<float>, rows<float, other_memory>>);
static_assert(!std::is_convertible_v<rows<float>, rows<const double>>);
static_assert(!std::is_convertible_v<infalign::span<float, other_memory>, infalign::span<const float>>);
static_assert(!std::is_constructible_v<infalign::span<float, other_memory>, std::vector<float>&>);

// A span takes any contiguous range, but a mutable one only of what may be written.
static_assert(std::is_convertible_v<std::vector<float>&, infalign::span<float>>);
static_assert(std::is_convertible_v<const std::vector<float>&, infalign::span<const float>>);
static_assert(!std::is_convertible_v<const std::vector<float>&, infalign::span<float>>);
static_assert(!std::is_convertible_v<std::vector<double>&, infalign::span<float>>);

// Views enter kernels by value, on a device too.
static_assert(std::is_trivially_copyable_v<infalign::span<float>> && std::is_trivially_copyable_v<rows<float>> &&
              std::is_trivially_copyable_v<ragged<float>>);

}  // namespace

TEST_CASE("a span views contiguous ranges") {
  std::vector<float> values{1, 2, 3};
  const infalign::span deduced(values);
  static_assert(std::is_same_v<decltype(deduced), const infalign::span<float>>);
  deduced[1] = 5;
  CHECK(values[1] == 5);
  CHECK(deduced.size() == 3);
  CHECK(deduced.end() - deduced.begin() == 3);

  const std::vector<float>& constant = values;
  const infalign::span reading(constant);
  static_assert(std::is_same_v<decltype(reading), const infalign::span<const float>>);
  CHECK(reading.data() == values.data());

  const infalign::span again(deduced);
  static_assert(std::is_same_v<decltype(again), const infalign::span<float>>);

  std::array<double, 2> fixed{1, 2};
  CHECK(infalign::span<const double>(fixed).size() == 2);
  CHECK(infalign::span<double>(std::span<double>(fixed)).data() == fixed.data());

  CHECK(infalign::span<float>().empty());
  CHECK(infalign::span<float>().data() == nullptr);
}

TEST_CASE("rows are equally long, a stride apart") {
  std::vector<float> values(12);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);

  const rows<float> packed(values.data(), 3, 4);
  CHECK(packed.size() == 3);
  CHECK(packed.columns() == 4);
  CHECK(packed.stride() == 4);
  CHECK(packed.total() == 12);
  CHECK(packed[2][1] == 9);
  CHECK(packed[2].size() == 4);

  const rows<const float> strided(values.data(), 3, 2, 5);
  CHECK(strided[0][1] == 1);
  CHECK(strided[1][0] == 5);
  CHECK(strided[2][1] == 11);
  CHECK(strided.total() == 6);
  // Positions count values, not the gaps between rows.
  CHECK(strided.offset(2) == 4);

  CHECK(rows<float>().empty());
  CHECK(rows<float>(values.data(), 2, 0).total() == 0);
  CHECK_FALSE(rows<float>(values.data(), 2, 0).empty());
}

TEST_CASE("ragged groups lie one after another") {
  std::vector<double> values{1, 2, 3, 4, 5};
  const std::vector<index_t> offsets{0, 2, 2, 5};
  const ragged<double> groups(values, offsets);
  CHECK(groups.size() == 3);
  CHECK(groups.total() == 5);
  CHECK(groups[0].size() == 2);
  CHECK(groups[1].empty());
  CHECK(groups[2][0] == 3);
  CHECK(groups.offset(2) == 2);
  groups[2][2] = 9;
  CHECK(values[4] == 9);

  CHECK(ragged<double>().size() == 0);
  const std::vector<index_t> only_start{0};
  CHECK(ragged<double>({}, only_start).size() == 0);
}

TEST_CASE("a packed copy has the order of the groups, without their gaps") {
  std::vector<float> values(20), copy(6);
  const auto dense = infalign::packed_like(rows<const float>(values.data(), 3, 2, 7), copy.data());
  CHECK(dense.stride() == 2);
  CHECK(dense[2].data() == copy.data() + 4);

  const std::vector<index_t> offsets{0, 1, 6};
  const auto groups = infalign::packed_like(ragged<const float>({values.data(), 6}, offsets), copy.data());
  CHECK(groups[1].data() == copy.data() + 1);
  CHECK(groups[1].size() == 5);
}

TEST_CASE("positions beyond 32 bits") {
  // No element is touched: 70,000 rows of 50,000 logits need 14 GB.
  float origin = 0;
  const rows<float> logits(&origin, 70'000, 50'000, 50'016);
  CHECK(logits.total() == 3'500'000'000);
  CHECK(logits.offset(69'999) == 3'499'950'000);
  static_assert(sizeof(index_t) == 8 && std::is_signed_v<index_t>);
  const std::vector<index_t> offsets{0, 3'000'000'000, 6'000'000'001};
  const ragged<float> groups({&origin, 6'000'000'001}, offsets);
  CHECK(groups[1].size() == 3'000'000'001);
  CHECK(groups.total() == 6'000'000'001);
}
