// SPDX-License-Identifier: Apache-2.0
/// \file
/// How a host backend uses more than one core: by an executor that the user hands in.
///
/// An executor is any callable `run(tasks, task)` that calls `task(i)` once for each `i` in `[0, tasks)`, in any order and on
/// any threads, and returns when all have returned. Tasks do not throw. With OpenMP:
/// \code
/// auto openmp = [](std::size_t tasks, auto&& task) {
///   #pragma omp parallel for schedule(dynamic)
///   for (std::size_t i = 0; i < tasks; ++i) task(i);
/// };
/// infalign::simd on(openmp);
/// \endcode
/// How work is cut into tasks depends on its size alone, so results are equal to the bit for every executor.
#pragma once

#include <cstddef>

namespace infalign {

/// The default: everything on the calling thread.
struct sequential {
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};

}  // namespace infalign
