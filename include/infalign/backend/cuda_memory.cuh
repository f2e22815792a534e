// SPDX-License-Identifier: Apache-2.0
/// \file
/// Device memory: its space as a type, the resource of scratch memory, and arrays that own their values.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// Memory that kernels of the current device read and write, managed memory included.
struct device_memory {};

template <>
struct compute_type<__nv_bfloat16> {
  using type = float;
};
template <>
struct compute_type<__half> {
  using type = float;
};

namespace detail {
/// Throws `cuda_error` unless `status` is success. The error is taken off CUDA's record, so that later calls do not find it.
inline void expects_cuda(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  throw cuda_error(std::string(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")",
                   static_cast<int>(status));
}
}  // namespace detail

/// The memory resource that the CUDA backend uses by default: `cudaMallocAsync` and `cudaFreeAsync` on a stream.
///
/// A resource of your own is a copyable value with these two members. Its memory is aligned to 64 bytes at least and may be
/// used on the backend's stream as soon as `allocate` returns. It may still be in use on the stream when `deallocate` is
/// called.
struct stream_ordered_resource {
  cudaStream_t stream = nullptr;

  [[nodiscard]] void* allocate(std::size_t bytes) const {
    void* memory = nullptr;
    detail::expects_cuda(cudaMallocAsync(&memory, bytes, stream), "cudaMallocAsync");
    return memory;
  }
  void deallocate(void* memory, std::size_t) const noexcept { (void)cudaFreeAsync(memory, stream); }
};

/// Owns `size()` values in device memory. Can be moved, not copied. Its allocations and copies are ordered on its stream.
template <class T, class Resource = stream_ordered_resource>
class device_array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;

  device_array() = default;
  /// `n` uninitialised values.
  device_array(index_t n, cudaStream_t stream, Resource resource) : resource_(std::move(resource)), stream_(stream), size_(n) {
    if (n > 0) data_ = static_cast<T*>(resource_.allocate(bytes()));
  }
  explicit device_array(index_t n, cudaStream_t stream = nullptr)
    requires std::same_as<Resource, stream_ordered_resource>
      : device_array(n, stream, stream_ordered_resource{stream}) {}
  /// A copy of `values`. Waits until it is made.
  explicit device_array(const std::vector<T>& values, cudaStream_t stream = nullptr)
    requires std::same_as<Resource, stream_ordered_resource>
      : device_array(static_cast<index_t>(values.size()), stream) {
    copy(data_, values.data(), cudaMemcpyHostToDevice);
  }
  device_array(device_array&& other) noexcept
      : resource_(other.resource_),
        stream_(other.stream_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  device_array& operator=(device_array&& other) noexcept {
    std::swap(resource_, other.resource_);
    std::swap(stream_, other.stream_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~device_array() {
    if (data_ != nullptr) resource_.deallocate(data_, bytes());
  }

  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] const T* data() const { return data_; }
  [[nodiscard]] index_t size() const { return size_; }

  infalign::span<T, device_memory> span() { return {data_, size_}; }
  infalign::rows<T, device_memory> rows(index_t n_rows, index_t n_columns) { return {data_, n_rows, n_columns}; }
  infalign::rows<T, device_memory> rows(index_t n_rows, index_t n_columns, index_t stride) {
    return {data_, n_rows, n_columns, stride};
  }
  infalign::ragged<T, device_memory> ragged(infalign::span<const index_t, device_memory> offsets) { return {span(), offsets}; }
  /// A copy in host memory. Waits for the work before it on the stream.
  [[nodiscard]] std::vector<T> host() const {
    std::vector<T> values(static_cast<std::size_t>(size_));
    copy(values.data(), data_, cudaMemcpyDeviceToHost);
    return values;
  }

 private:
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
  void copy(T* to, const T* from, cudaMemcpyKind kind) const {
    if (size_ == 0) return;
    detail::expects_cuda(cudaMemcpyAsync(to, from, bytes(), kind, stream_), "cudaMemcpyAsync");
    detail::expects_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }

  Resource resource_{};
  cudaStream_t stream_ = nullptr;
  T* data_ = nullptr;
  index_t size_ = 0;
};

}  // namespace infalign
