// SPDX-License-Identifier: Apache-2.0
/// \file
/// DLPack tensors as views, without a copy: what PyTorch, JAX, TensorFlow, CuPy, MXNet, TVM and ONNX Runtime exchange.
///
/// Nothing is included: any type with the members of DLPack's `DLTensor` is taken, from whichever copy of `dlpack.h` a framework ships.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "infalign/core/storage.hpp"
#include "infalign/interop/detail/strided_tensor.hpp"

namespace infalign {

namespace detail {

/// The members of `DLTensor`, https://dmlc.github.io/dlpack/latest/c_api.html
template <class D>
concept dlpack_tensor = requires(const D& t) {
  { t.data } -> std::convertible_to<void*>;
  { t.device.device_type } -> std::convertible_to<int>;
  { t.ndim } -> std::convertible_to<int>;
  { t.dtype.code } -> std::convertible_to<int>;
  { t.dtype.bits } -> std::convertible_to<int>;
  { t.dtype.lanes } -> std::convertible_to<int>;
  { t.shape } -> std::convertible_to<const std::int64_t*>;
  { t.strides } -> std::convertible_to<const std::int64_t*>;
  { t.byte_offset } -> std::convertible_to<std::uint64_t>;
};

/// `DLDataTypeCode`.
enum class dlpack_code { integer = 0, unsigned_integer = 1, floating = 2, bfloat = 4, boolean = 6 };

template <class T>
constexpr dlpack_code dlpack_code_of() {
  if constexpr (std::same_as<T, bfloat16>)
    return dlpack_code::bfloat;
  else if constexpr (std::floating_point<T> || std::same_as<T, half>)
    return dlpack_code::floating;
  else
    return std::is_signed_v<T> ? dlpack_code::integer : dlpack_code::unsigned_integer;
}

INFALIGN_KEYED inline std::string dlpack_type_name(int code, int bits) {
  static constexpr const char* names[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  return (code >= 0 && code < 7 ? std::string(names[code]) : "type code " + std::to_string(code) + " of ") +
         (code == 6 ? "" : std::to_string(bits));
}

/// `DLDeviceType` of memory that a backend of `Space` reaches: host memory (1), pinned (3) or managed (13); else CUDA's (2) or managed.
template <class Space>
constexpr bool reaches_dlpack_device(int device) {
  return std::same_as<Space, host_memory> ? device == 1 || device == 3 || device == 13 : device == 2 || device == 13;
}

template <class T, class Space, dlpack_tensor D>
INFALIGN_KEYED strided_tensor strided_tensor_of(std::string_view function, const D& t, int fewest, int most) {
  using value = std::remove_const_t<T>;
  const int device = static_cast<int>(t.device.device_type), code = static_cast<int>(t.dtype.code);
  const int bits = static_cast<int>(t.dtype.bits), lanes = static_cast<int>(t.dtype.lanes), rank = static_cast<int>(t.ndim);
  expects<domain_error>(
      reaches_dlpack_device<Space>(device), function, "the tensor lies on a device of type ", device,
      std::same_as<Space, host_memory> ? ", must be in host memory (1, 3 or 13)" : ", must be in CUDA memory (2 or 13)");
  constexpr dlpack_code wanted = dlpack_code_of<value>();
  constexpr int width = static_cast<int>(8 * sizeof(value));
  expects<domain_error>(code == static_cast<int>(wanted) && bits == width && lanes == 1, function, "the tensor has type ",
                        dlpack_type_name(code, bits), lanes == 1 ? "" : " in lanes", ", must be ",
                        dlpack_type_name(static_cast<int>(wanted), width));
  const auto compact = [&](int d) {  // without strides: row-major
    index_t stride = 1;
    for (int i = d + 1; i < rank; ++i) stride *= t.shape[i];
    return stride;
  };
  const strided_tensor tensor = strided_tensor_of(
      function, t.data == nullptr ? nullptr : static_cast<std::byte*>(static_cast<void*>(t.data)) + t.byte_offset, rank, fewest,
      most, [&](int d) { return t.shape[d]; }, [&](int d) { return t.strides == nullptr ? compact(d) : t.strides[d]; });
  expects_aligned<value>(function, tensor.data);
  return tensor;
}

}  // namespace detail

/// A tensor of one dimension, of type `T` or `const T`: `as_span<const float>(*managed->dl_tensor)`. `T` may be `float`, `double`,
/// `bfloat16`, `half` or an integer; nothing is converted. `Space`: `host_memory`, or `device_memory` for a CUDA tensor.
/// Errors: `domain_error` (type or device), `shape_error` (dimensions; values that do not lie next to each other; alignment). The device's
/// number is the caller's to check, and so is whether a tensor may be written.
template <class T, class Space = host_memory, detail::dlpack_tensor D>
span<T, Space> as_span(const D& values) {
  return detail::span_of<T, Space>(detail::strided_tensor_of<T, Space>("as_span", values, 1, 1));
}

/// The rows of a tensor of two dimensions as groups, at any distance. Errors: as `as_span`, and rows that overlap.
template <class T, class Space = host_memory, detail::dlpack_tensor D>
rows<T, Space> as_rows(const D& matrix) {
  return detail::rows_of<T, Space>("as_rows", detail::strided_tensor_of<T, Space>("as_rows", matrix, 2, 2));
}

/// The rows of a matrix or of a batch `[B, L, V]`, for `token_logits` and its gradient: row `b·L + t`. Errors: as `as_rows`.
template <class T, class Space = host_memory, detail::dlpack_tensor D>
any_rows<T, Space> as_token_rows(const D& batch) {
  return detail::any_rows_of<T, Space>("as_token_rows", detail::strided_tensor_of<T, Space>("as_token_rows", batch, 2, 3));
}

}  // namespace infalign
