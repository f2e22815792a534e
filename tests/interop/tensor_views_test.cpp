// SPDX-License-Identifier: Apache-2.0
/// Views of DLPack tensors and of multidimensional spans, by types with their published members.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "infalign/infalign.hpp"
#include "infalign/interop/dlpack.hpp"
#include "infalign/interop/mdspan.hpp"
#include "support/samples.hpp"

using infalign::index_t;
namespace test = infalign::test;

namespace {

/// DLPack's `DLTensor`, as its specification has it.
struct dl_tensor {
  void* data = nullptr;
  struct {
    std::int32_t device_type = 1;
    std::int32_t device_id = 0;
  } device;
  std::int32_t ndim = 0;
  struct {
    std::uint8_t code = 2;
    std::uint8_t bits = 32;
    std::uint16_t lanes = 1;
  } dtype;
  std::int64_t* shape = nullptr;
  std::int64_t* strides = nullptr;
  std::uint64_t byte_offset = 0;
};

/// A tensor of `float` over `memory`.
struct tensor_over {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  dl_tensor tensor;
  tensor_over(std::vector<float>& memory, std::vector<std::int64_t> sizes, std::vector<std::int64_t> distances,
              std::size_t begin = 0)
      : shape(std::move(sizes)), strides(std::move(distances)) {
    tensor.data = memory.data();
    tensor.byte_offset = begin * sizeof(float);
    tensor.ndim = static_cast<std::int32_t>(shape.size());
    tensor.shape = shape.data();
    tensor.strides = strides.empty() ? nullptr : strides.data();
  }
};

/// What of `std::mdspan` with `layout_stride` is used.
template <class T, std::size_t Rank>
struct strided_span {
  using element_type = T;
  using rank_type = std::size_t;
  T* data;
  std::array<index_t, Rank> sizes;
  std::array<index_t, Rank> strides;
  static constexpr std::size_t rank() { return Rank; }
  [[nodiscard]] index_t extent(std::size_t d) const { return sizes[d]; }
  [[nodiscard]] index_t stride(std::size_t d) const { return strides[d]; }
  [[nodiscard]] T* data_handle() const { return data; }
};

std::vector<float> counted(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

/// The values of a view, row by row.
template <class View>
std::vector<float> values_of(const View& view) {
  std::vector<float> all;
  for (index_t r = 0; r < view.size(); ++r)
    for (const float x : view[r]) all.push_back(x);
  return all;
}

}  // namespace

TEST_CASE("DLPack tensors are views of their own memory, with or without strides") {
  std::vector<float> memory = counted(24);
  const auto plain = infalign::as_rows<float>(tensor_over(memory, {2, 3}, {}).tensor);
  CHECK(values_of(plain) == std::vector<float>{0, 1, 2, 3, 4, 5});
  plain[1][0] = 30;
  CHECK(memory[3] == 30);
  memory[3] = 3;
  const auto block = infalign::as_rows<const float>(tensor_over(memory, {2, 2}, {6, 1}, 7).tensor);
  static_assert(std::is_same_v<decltype(block), const infalign::rows<const float>>);
  CHECK(values_of(block) == std::vector<float>{7, 8, 13, 14});
  CHECK(infalign::as_span<float>(tensor_over(memory, {4}, {1}, 2).tensor)[3] == 5);
  // logits[:, 1:-1] of [2, 4, 3]
  const auto slice = infalign::as_token_rows<const float>(tensor_over(memory, {2, 2, 3}, {12, 3, 1}, 3).tensor);
  CHECK(values_of(slice) == std::vector<float>{3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20});
  // [L, B, V] seen as [B, L, V]
  const auto transposed = infalign::as_token_rows<const float>(tensor_over(memory, {2, 4, 3}, {3, 6, 1}).tensor);
  CHECK(values_of(transposed) ==
        std::vector<float>{0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20, 3, 4, 5, 9, 10, 11, 15, 16, 17, 21, 22, 23});
  CHECK(infalign::as_token_rows<float>(tensor_over(memory, {2, 3}, {4, 1}).tensor)[1][0] == 4);
  // A stride that is never used may be anything.
  CHECK(infalign::as_rows<float>(tensor_over(memory, {1, 3}, {-7, 1}).tensor)[0][2] == 2);
  CHECK(infalign::as_rows<float>(tensor_over(memory, {3, 1}, {2, 9}).tensor)[2][0] == 4);
  CHECK(infalign::as_rows<float>(tensor_over(memory, {0, 3}, {3, 1}).tensor).empty());
}

TEST_CASE("types of 16 bits and integers come as they are") {
  std::vector<float> memory(2);
  tensor_over over(memory, {4}, {1});
  over.tensor.dtype = {4, 16, 1};
  static_assert(
      std::is_same_v<decltype(infalign::as_span<infalign::bfloat16>(over.tensor)), infalign::span<infalign::bfloat16>>);
  infalign::as_span<infalign::bfloat16>(over.tensor)[0] = infalign::bfloat16(1.5F);
  over.tensor.dtype = {2, 16, 1};
  CHECK(infalign::as_span<const infalign::half>(over.tensor)[0].bits == 0x3fc0);
  over.tensor.dtype = {0, 64, 1};
  over.shape[0] = 1;
  CHECK(infalign::as_span<const std::int64_t>(over.tensor)[0] == 0x3fc0);
}

TEST_CASE("a tensor that does not fit is refused by what it has and what it must have") {
  std::vector<float> memory = counted(24);
  const auto message = [&](std::vector<std::int64_t> sizes, std::vector<std::int64_t> strides, auto&& change) {
    tensor_over over(memory, std::move(sizes), std::move(strides));
    change(over.tensor);
    return test::message_of<infalign::error>([&] { infalign::as_rows<float>(over.tensor); });
  };
  const auto as_it_is = [](dl_tensor&) {};
  CHECK(message({2, 3}, {3, 1}, as_it_is) == "nothing thrown");
  CHECK(message({2, 3, 4}, {12, 4, 1}, as_it_is) == "as_rows: the tensor has 3 dimensions, must have 2 dimensions");
  CHECK(message({2, 3}, {1, 2}, as_it_is) ==
        "as_rows: dimension 1 has stride 2, values must lie next to each other (stride 1)");
  CHECK(message({2, 3}, {2, 1}, as_it_is) == "as_rows: rows of 3 values lie 2 apart, they must not overlap");
  CHECK(message({2, 3}, {0, 1}, as_it_is) == "as_rows: rows of 3 values lie 0 apart, they must not overlap");
  CHECK(message({2, 3}, {-3, 1}, as_it_is) == "as_rows: dimension 0 has stride -3, must not be negative");
  CHECK(message({-2, 3}, {3, 1}, as_it_is) == "as_rows: dimension 0 has size -2, must not be negative");
  CHECK(message({2, 3}, {3, 1}, [](dl_tensor& t) {
          t.dtype = {0, 64, 1};
        }) == "as_rows: the tensor has type int64, must be float32");
  CHECK(message({2, 3}, {3, 1}, [](dl_tensor& t) {
          t.dtype = {4, 16, 1};
        }) == "as_rows: the tensor has type bfloat16, must be float32");
  CHECK(message({2, 3}, {3, 1}, [](dl_tensor& t) { t.dtype.lanes = 4; }) ==
        "as_rows: the tensor has type float32 in lanes, must be float32");
  CHECK(message({2, 3}, {3, 1}, [](dl_tensor& t) { t.device.device_type = 2; }) ==
        "as_rows: the tensor lies on a device of type 2, must be in host memory (1, 3 or 13)");
  CHECK(message({2, 3}, {3, 1}, [](dl_tensor& t) { t.byte_offset = 2; }) ==
        "as_rows: the data does not begin at a multiple of 4 bytes");
  CHECK(test::message_of<infalign::error>([&] { infalign::as_token_rows<float>(tensor_over(memory, {4}, {1}).tensor); }) ==
        "as_token_rows: the tensor has 1 dimensions, must have 2 or 3 dimensions");
  CHECK(test::message_of<infalign::error>([&] {
          infalign::as_token_rows<float>(tensor_over(memory, {2, 3, 4}, {8, 4, 1}).tensor);
        }) == "strided_rows: runs of 12 values lie 8 apart, they must not overlap");
}

TEST_CASE("multidimensional spans are views of their own memory") {
  std::vector<float> memory = counted(24);
  const auto block = infalign::as_rows(strided_span<float, 2>{memory.data() + 7, {2, 2}, {6, 1}});
  CHECK(values_of(block) == std::vector<float>{7, 8, 13, 14});
  static_assert(std::is_same_v<decltype(infalign::as_rows(strided_span<const float, 2>{})), infalign::rows<const float>>);
  CHECK(infalign::as_span(strided_span<float, 1>{memory.data() + 2, {3}, {1}})[2] == 4);
  const auto slice = infalign::as_token_rows(strided_span<const float, 3>{memory.data() + 3, {2, 2, 3}, {12, 3, 1}});
  CHECK(values_of(slice) == std::vector<float>{3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20});
  CHECK(test::message_of<infalign::shape_error>([&] {
          infalign::as_rows(strided_span<float, 2>{memory.data(), {2, 3}, {1, 2}});
        }) == "as_rows: dimension 1 has stride 2, values must lie next to each other (stride 1)");
}

TEST_CASE("a gradient straight from a framework's batch equals that of packed rows") {
  std::vector<float> batch = test::normal_values<float>(2 * 4 * 11, 1), packed;
  const std::vector<std::int32_t> ids{3, 1, 10, 0};
  const std::vector<float> advantages{1, -2, 0.5F, 3};
  const tensor_over slice(batch, {2, 2, 11}, {44, 11, 1}, 11);
  const auto logits = infalign::as_token_rows<const float>(slice.tensor);
  for (index_t t = 0; t < 4; ++t) packed.insert(packed.end(), logits[t].begin(), logits[t].end());
  std::vector<float> expected(packed.size()), gradient(batch.size(), -99);
  infalign::simd on;
  policy_gradient(on, infalign::reinforce{},
                  infalign::token_logits<float>{infalign::rows<const float>(packed.data(), 4, 11), {}, ids}, advantages, {},
                  infalign::token_statistics<float>{}, infalign::rows<float>(expected.data(), 4, 11));
  const tensor_over place(gradient, {2, 2, 11}, {44, 11, 1}, 11);
  policy_gradient(on, infalign::reinforce{}, infalign::token_logits<float>{logits, {}, ids}, advantages, {},
                  infalign::token_statistics<float>{}, infalign::as_token_rows<float>(place.tensor));
  CHECK(values_of(infalign::as_token_rows<const float>(place.tensor)) == expected);
  CHECK(gradient[0] == -99);
  CHECK(gradient[33] == -99);
}
