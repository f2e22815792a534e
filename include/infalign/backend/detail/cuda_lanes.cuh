// SPDX-License-Identifier: Apache-2.0
/// \file
/// Communication between the threads of a CUDA kernel. Functions that are compiled for the host as well may call it; the host
/// never runs it.
#pragma once

#include <cuda_runtime.h>

#include "infalign/core/config.hpp"

// In device code, or by an ordinary compiler with stand-ins for CUDA's functions.
#if defined(__CUDA_ARCH__) || !defined(__CUDACC__)
#define INFALIGN_ON_DEVICE 1
#endif

namespace infalign::detail {

INFALIGN_HD inline int thread_of_block() {
#if INFALIGN_ON_DEVICE
  return static_cast<int>(threadIdx.x);
#else
  return 0;
#endif
}

/// `v` of the lane whose number differs in the bits of `offset`.
INFALIGN_HD inline double shuffle_xor([[maybe_unused]] unsigned mask, double v, [[maybe_unused]] int offset) {
#if INFALIGN_ON_DEVICE
  return __shfl_xor_sync(mask, v, offset);
#else
  return v;
#endif
}

INFALIGN_HD inline void warp_barrier([[maybe_unused]] unsigned mask) {
#if INFALIGN_ON_DEVICE
  __syncwarp(mask);
#endif
}

INFALIGN_HD inline void block_barrier() {
#if INFALIGN_ON_DEVICE
  __syncthreads();
#endif
}

// Clusters exist from compute capability 9.0 on. Older devices are never given one.
INFALIGN_HD inline int block_of_cluster() {
#if INFALIGN_ON_DEVICE && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)
  return static_cast<int>(__clusterRelativeBlockRank());
#else
  return 0;
#endif
}

INFALIGN_HD inline void cluster_barrier() {
#if INFALIGN_ON_DEVICE && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
#endif
}

}  // namespace infalign::detail

#undef INFALIGN_ON_DEVICE
