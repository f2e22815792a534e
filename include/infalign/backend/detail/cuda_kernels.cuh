// SPDX-License-Identifier: Apache-2.0
/// \file
/// The kernels that the CUDA backend launches: one for each primitive.
#pragma once

#include <cuda_runtime.h>

#include "infalign/backend/detail/cuda_team.cuh"
#include "infalign/core/views.hpp"

namespace infalign::detail {

template <class T, class F>
__global__ void __launch_bounds__(cuda_block) cuda_map(const __grid_constant__ F f, index_t n) {
  const int lane = static_cast<int>(threadIdx.x & 31u);
  const index_t warps_of_block = blockDim.x / 32;
  for_each_tile<T>(n, lane, 32, blockIdx.x * warps_of_block + threadIdx.x / 32, gridDim.x * warps_of_block,
                   [&](auto at) { f(at); });
}

/// Lowers `*found` to the smallest position whose mask is set.
template <class T, class P>
__global__ void __launch_bounds__(cuda_block) cuda_first(const __grid_constant__ P p, index_t n, unsigned long long* found) {
  const int lane = static_cast<int>(threadIdx.x & 31u);
  const index_t warps_of_block = blockDim.x / 32;
  for_each_tile<T>(n, lane, 32, blockIdx.x * warps_of_block + threadIdx.x / 32, gridDim.x * warps_of_block, [&](auto at) {
    const auto mask = p(at);
    for (int k = 0; k < cuda_pack_size; ++k)
      if (mask.element[k] && at.exists(k)) atomicMin(found, static_cast<unsigned long long>(at.first + k * at.stride));
  });
}

template <class Kernel>
__global__ void __launch_bounds__(cuda_largest_block)
    cuda_groups(const __grid_constant__ Kernel kernel, index_t n, cuda_shape shape, double* exchange) {
  extern __shared__ double cuda_team_memory[];
  const index_t teams_of_block = shape.fills_blocks() ? 1 : blockDim.x / static_cast<unsigned>(shape.lanes);
  const index_t team_of_block = shape.fills_blocks() ? 0 : threadIdx.x / static_cast<unsigned>(shape.lanes);
  const index_t cluster = blockIdx.x / static_cast<unsigned>(shape.blocks);
  const index_t teams = gridDim.x / static_cast<unsigned>(shape.blocks) * teams_of_block;
  cuda_team team(shape, cuda_team_memory, shape.blocks > 1 ? exchange + cluster * 2 * shape.blocks : nullptr);
  for (index_t g = cluster * teams_of_block + team_of_block; g < n; g += teams) kernel(team, g);
}

/// The function of a transform iterator: where segment `g` of packed groups begins, counted from `origin`.
template <class Groups>
struct segment_begin {
  Groups groups;
  index_t origin;
  INFALIGN_HD index_t operator()(index_t g) const { return (g < groups.size() ? groups.offset(g) : groups.total()) - origin; }
};

/// Copies groups so that they lie one after another.
template <class Groups, class T>
struct pack_kernel {
  Groups groups;
  T* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto group = groups[g];
    T* const to = out + groups.offset(g);
    team.template loop<T>(group.size(), [&](auto at, auto) { at.store(to, at.load(group.data())); });
  }
};
template <class G, class T>
pack_kernel(G, T*) -> pack_kernel<G, T>;

}  // namespace infalign::detail
