// SPDX-License-Identifier: Apache-2.0
/// \file
/// The Thrust backend: host memory, with Thrust running the tasks on one of its CPU systems, and SIMD lanes inside a task.
///
/// \code
/// infalign::thrust_host on;                          // thrust::device: what THRUST_DEVICE_SYSTEM says (CPP, OMP or TBB)
/// infalign::thrust_host on_tbb(thrust::tbb::par);    // or any system of your own choice
/// \endcode
///
/// It needs the headers of Thrust (CUDA toolkit, or Debian's libthrust-dev) and is compiled as C++, not as CUDA. The CMake target
/// `infalign::thrust` sets the include directory and a CPU device system.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <cstddef>
#include <utility>

#include "infalign/backend/simd.hpp"

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#error "infalign/backend/thrust.hpp: set THRUST_DEVICE_SYSTEM to CPP, OMP or TBB, as the CMake target infalign::thrust does"
#endif

namespace infalign {

/// Runs tasks by `thrust::for_each_n` under an execution policy of a CPU system.
template <class Policy>
class thrust_executor {
 public:
  explicit thrust_executor(Policy policy) : policy_(policy) {}

  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    ::thrust::for_each_n(policy_, ::thrust::counting_iterator<std::size_t>(0), tasks, [&task](std::size_t i) { task(i); });
  }

 private:
  Policy policy_;
};

/// See `backend.hpp` for the meaning of its members. Results equal those of `simd` to the bit.
template <class Policy = std::remove_cvref_t<decltype(::thrust::device)>, class Arch = xsimd::default_arch>
class thrust_host : public simd<thrust_executor<Policy>, Arch> {
 public:
  explicit thrust_host(Policy policy = {}) : simd<thrust_executor<Policy>, Arch>(thrust_executor<Policy>(policy)) {}
};

}  // namespace infalign
