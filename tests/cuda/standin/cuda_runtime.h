// SPDX-License-Identifier: Apache-2.0
/// \file
/// A stand-in for the CUDA runtime: kernels run on the CPU, each thread of a block or cluster as a fiber that goes on until its next
/// barrier. It lets the device code be tested, debugged and sanitized where there is no GPU. Stricter than a GPU in places:
/// - device memory is out of reach except while a kernel or a copy runs, so that a hidden access by the host is a crash;
/// - fresh device memory, and what is given back, is full of NaN;
/// - a barrier that some thread does not come to is reported, and the order of threads changes from launch to launch.
///
/// It only declares what the library uses.
#pragma once

#include <cstddef>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__
#define __grid_constant__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned nx = 1) : x(nx) {}
};
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
void __syncwarp(unsigned mask);
double __shfl_xor_sync(unsigned mask, double value, int offset);
unsigned __clusterRelativeBlockRank();
inline void __cluster_barrier_arrive() {}
void __cluster_barrier_wait();
unsigned long long atomicMin(unsigned long long* at, unsigned long long value);

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrL2CacheSize,
  cudaDevAttrComputeCapabilityMajor,
};
using cudaStream_t = struct cudaStandinStream*;

cudaError_t cudaGetLastError();
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);

enum cudaLaunchAttributeID { cudaLaunchAttributeClusterDimension };
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  struct {
    struct {
      unsigned x, y, z;
    } clusterDim;
  } val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

/// Code for compute capability 9.0, in clusters of up to 8.
struct cudaFuncAttributes {
  int ptxVersion;
};
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel*) {
  attributes->ptxVersion = 90;
  return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaOccupancyMaxPotentialClusterSize(int* blocks, Kernel*, const cudaLaunchConfig_t*) {
  *blocks = 8;
  return cudaSuccess;
}

namespace standin {

/// Runs `thread` for every thread of the grid.
cudaError_t launch(const cudaLaunchConfig_t& config, const std::function<void()>& thread);

/// While it lives, device memory can be reached.
struct device_access {
  device_access();
  ~device_access();
};

/// What has been called so far, and what is to fail: the next allocation but `allocations_before_failure` (never while it is
/// negative), the next launch.
struct record {
  long launches = 0;
  long allocations = 0;
  long synchronizations = 0;
  long allocations_before_failure = -1;
  bool next_launch_fails = false;
};
extern record calls;

}  // namespace standin

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), const Arguments&... arguments) {
  return standin::launch(*config, [&] { kernel(arguments...); });
}
