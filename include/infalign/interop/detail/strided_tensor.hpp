// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tensors of other frameworks, reduced to what a view needs: where they begin, their sizes and their strides.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "infalign/core/any_rows.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// Up to three dimensions. Strides count values, not bytes.
struct strided_tensor {
  static constexpr int most = 3;
  void* data = nullptr;
  int rank = 0;
  std::array<index_t, most> sizes{};
  std::array<index_t, most> strides{};

  [[nodiscard]] bool empty() const {
    for (int d = 0; d < rank; ++d)
      if (sizes[static_cast<std::size_t>(d)] == 0) return true;
    return false;
  }
};

/// Ranks that are allowed, for the message.
INFALIGN_KEYED inline std::string dimensions(int fewest, int most) {
  const std::string least = std::to_string(fewest);
  return fewest == most ? least + (fewest == 1 ? " dimension" : " dimensions")
                        : least + " or " + std::to_string(most) + " dimensions";
}

/// `size_of(d)` and `stride_of(d)` for each dimension.
template <class SizeOf, class StrideOf>
INFALIGN_KEYED strided_tensor strided_tensor_of(std::string_view function, void* data, index_t rank, int fewest, int most,
                                                const SizeOf& size_of, const StrideOf& stride_of) {
  expects<shape_error>(rank >= fewest && rank <= most, function, "the tensor has ", rank, " dimensions, must have ",
                       dimensions(fewest, most));
  strided_tensor tensor{data, static_cast<int>(rank)};
  for (int d = 0; d < tensor.rank; ++d) {
    const auto i = static_cast<std::size_t>(d);
    tensor.sizes[i] = static_cast<index_t>(size_of(d));
    tensor.strides[i] = static_cast<index_t>(stride_of(d));
    expects<shape_error>(tensor.sizes[i] >= 0, function, "dimension ", d, " has size ", tensor.sizes[i],
                         ", must not be negative");
    // The stride of a dimension of one value is never used, and frameworks write anything there.
    const bool is_used = tensor.sizes[i] > 1;
    expects<shape_error>(!is_used || tensor.strides[i] >= 0, function, "dimension ", d, " has stride ", tensor.strides[i],
                         ", must not be negative");
  }
  const auto last = static_cast<std::size_t>(tensor.rank - 1);
  expects<shape_error>(tensor.sizes[last] <= 1 || tensor.strides[last] == 1 || tensor.empty(), function, "dimension ", last,
                       " has stride ", tensor.strides[last], ", values must lie next to each other (stride 1)");
  return tensor;
}

template <class T>
INFALIGN_KEYED void expects_aligned(std::string_view function, const void* data) {
  expects<shape_error>(reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0, function,
                       "the data does not begin at a multiple of ", alignof(T), " bytes");
}

template <class T, class Space>
span<T, Space> span_of(const strided_tensor& tensor) {
  return {static_cast<T*>(tensor.data), tensor.sizes[0]};
}

template <class T, class Space>
INFALIGN_KEYED rows<T, Space> rows_of(std::string_view function, const strided_tensor& tensor) {
  const index_t n = tensor.sizes[0], columns = tensor.sizes[1], stride = n > 1 ? tensor.strides[0] : columns;
  expects<shape_error>(stride >= columns || tensor.empty(), function, "rows of ", columns, " values lie ", stride,
                       " apart, they must not overlap");
  return {static_cast<T*>(tensor.data), n, columns, stride};
}

/// The rows of a matrix, or of a batch `[B, L, V]`: row `b·L + t`.
template <class T, class Space>
INFALIGN_KEYED any_rows<T, Space> any_rows_of(std::string_view function, const strided_tensor& tensor) {
  if (tensor.rank == 2) return any_rows(rows_of<T, Space>(function, tensor));
  const auto& [batch, length, columns] = tensor.sizes;
  return strided_rows<Space>(static_cast<T*>(tensor.data), batch, length, columns, tensor.strides[0], tensor.strides[1]);
}

}  // namespace infalign::detail
