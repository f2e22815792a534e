// SPDX-License-Identifier: Apache-2.0
/// \file
/// The CUDA backend as a configuration of the typed tests (see support/configurations.hpp).
#pragma once

#include <infalign/backend/cuda.cuh>
#include <infalign/transform/device_tabulated.cuh>
#include <utility>
#include <vector>

namespace infalign::test {

/// Values in device memory, with the members of `host_array`.
template <class T>
class cuda_test_array {
 public:
  cuda_test_array() = default;
  explicit cuda_test_array(const std::vector<T>& values) : values_(values) {}
  explicit cuda_test_array(index_t n, T fill = T()) : values_(std::vector<T>(static_cast<std::size_t>(n), fill)) {}
  cuda_test_array(const cuda_test_array& other) : values_(other.host()) {}
  cuda_test_array(cuda_test_array&& other) noexcept = default;
  cuda_test_array& operator=(cuda_test_array other) noexcept {
    std::swap(values_, other.values_);
    return *this;
  }

  auto span() { return values_.span(); }
  auto rows(index_t n_rows, index_t n_columns) { return values_.rows(n_rows, n_columns); }
  auto rows(index_t n_rows, index_t n_columns, index_t stride) { return values_.rows(n_rows, n_columns, stride); }
  auto ragged(cuda_test_array<index_t>& offsets) { return values_.ragged(offsets.span()); }
  [[nodiscard]] std::vector<T> host() const { return values_.host(); }

 private:
  device_array<T> values_;
};

/// A shape of team for every size, so that all are tried: from one lane to a cluster of three blocks. Equal sizes get equal
/// shapes.
struct varied_shapes : cuda_launch_model {
  [[nodiscard]] detail::cuda_shape shape(index_t groups, index_t cost) const {
    static constexpr detail::cuda_shape shapes[] = {{32, 1, 1}, {32, 4, 1}, {8, 1, 1},  {32, 1, 2},
                                                    {1, 1, 1},  {32, 2, 4}, {32, 16, 1}};
    const detail::cuda_shape chosen = shapes[(groups * 31 + cost) % 7];
    return chosen.blocks <= largest_cluster ? chosen : detail::cuda_shape{chosen.lanes, chosen.warps, 1};
  }
};

template <class T>
struct on_cuda {
  using value = T;
  using backend = infalign::cuda<stream_ordered_resource, varied_shapes>;
  static backend make_backend() { return backend(); }
  using tabulated = device_tabulated;
  template <class U>
  using array = cuda_test_array<U>;
};

}  // namespace infalign::test
