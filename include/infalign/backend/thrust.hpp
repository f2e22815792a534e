// SPDX-License-Identifier: Apache-2.0
/// \file
/// The library on Thrust's CPU systems: Thrust runs the tasks (sequentially, on OpenMP's threads or on TBB's), SIMD lanes work
/// inside a task. Results equal those of `simd` to the bit.
///
/// \code
/// infalign::simd on{infalign::thrust_executor(thrust::device)};    // the system that THRUST_DEVICE_SYSTEM names
/// infalign::simd on{infalign::thrust_executor(thrust::tbb::par)};  // or any CPU system of your own choice
/// \endcode
///
/// It needs the headers of Thrust (CUDA toolkit, or Debian's libthrust-dev) and is compiled as C++, not as CUDA. The CMake
/// target `infalign::thrust` sets the include directory and a CPU device system. For the GPU there is `backend/cuda.cuh`.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <cstddef>
#include <type_traits>

#include "infalign/backend/simd.hpp"

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#error "infalign/backend/thrust.hpp: set THRUST_DEVICE_SYSTEM to CPP, OMP or TBB, as the CMake target infalign::thrust does"
#endif

namespace infalign {

/// An executor (see `executor.hpp`): `thrust::for_each_n` under an execution policy of a CPU system.
template <class Policy = std::remove_cvref_t<decltype(::thrust::device)>>
class thrust_executor {
 public:
  thrust_executor() = default;
  explicit thrust_executor(Policy policy) : policy_(policy) {}

  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    ::thrust::for_each_n(policy_, ::thrust::counting_iterator<std::size_t>(0), tasks, [&task](std::size_t i) { task(i); });
  }

 private:
  Policy policy_{};
};

}  // namespace infalign
