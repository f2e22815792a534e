// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <algorithm>

#include "infalign/backend/cuda_memory.cuh"
#include "infalign/backend/detail/cuda_team.cuh"

namespace infalign {

/// How work is spread over a GPU, from its size. `cost` counts element operations, about 16 for a 4-byte logit that is read,
/// and its gradient written.
///
/// - Small groups share a warp. Each gets as many lanes as there are packs of work, so that 4 rollouts do not occupy 32 lanes.
/// - Larger groups get 2 to 16 warps, which are a block.
/// - A cluster of blocks takes a group (from compute capability 9.0 on) if there are too few groups to fill the device. It also
///   does if the groups at work at a time overflow the second-level cache: a second pass would find nothing there of the first.
///
/// Derived from sizes and from instruction counts; not measured on a GPU yet.
class cuda_launch_model {
 public:
  /// Of the current device.
  cuda_launch_model() {
    int device = 0;
    int major = 0;
    detail::expects_cuda(cudaGetDevice(&device), "cudaGetDevice");
    const auto ask = [&](int& value, cudaDeviceAttr attribute) {
      detail::expects_cuda(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
    };
    ask(multiprocessors, cudaDevAttrMultiProcessorCount);
    ask(cache_bytes, cudaDevAttrL2CacheSize);
    ask(major, cudaDevAttrComputeCapabilityMajor);
    largest_cluster = major >= 9 ? 8 : 1;
  }

  [[nodiscard]] detail::cuda_shape shape(index_t groups, index_t cost) const {
    const index_t mean = cost / groups;
    detail::cuda_shape s;
    while (s.lanes > 1 && s.lanes * 2 >= mean) s.lanes /= 2;
    while (s.warps * 32 < detail::cuda_largest_block && s.warps * 2048 < mean) s.warps *= 2;
    while (s.blocks < largest_cluster && mean >= s.blocks * 65'536 && (idle(groups, s) || overflows(groups, mean, s)))
      s.blocks *= 2;
    return s;
  }

  int multiprocessors = 0;
  int cache_bytes = 0;
  int largest_cluster = 1;

 private:
  [[nodiscard]] index_t resident_blocks(const detail::cuda_shape& s) const {
    return static_cast<index_t>(multiprocessors) * (1024 / (32 * s.warps));
  }
  [[nodiscard]] bool idle(index_t groups, const detail::cuda_shape& s) const { return groups * s.blocks < resident_blocks(s); }
  [[nodiscard]] bool overflows(index_t groups, index_t mean, const detail::cuda_shape& s) const {
    return std::min(groups, resident_blocks(s) / s.blocks) * (mean / 4) > cache_bytes / 2;
  }
};

}  // namespace infalign
