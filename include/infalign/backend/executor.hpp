// SPDX-License-Identifier: Apache-2.0
/// \file
/// Executors: a host backend uses more than one core by an executor that the user hands in.
///
/// An executor is any copyable callable `run(tasks, task)` that calls `task(i)` once for each `i` in `[0, tasks)`, in any order
/// and on any threads, and returns when all have returned. Tasks do not throw.
/// If the executor throws, the exception passes on to the caller of the algorithm. No task may be running then. What was to be written
/// is unspecified; everything else, the backend included, is as before.
///
/// With OpenMP:
/// \code
/// auto openmp = [](std::size_t tasks, auto&& task) {
///   #pragma omp parallel for schedule(dynamic)
///   for (std::size_t i = 0; i < tasks; ++i) task(i);
/// };
/// infalign::simd on(openmp);
/// \endcode
/// How work is cut into tasks depends on its size alone, so results are equal to the bit for every executor.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>

namespace infalign {

/// A task without its type, for an executor to call. So neither a kernel nor a backend is compiled again for another executor.
/// Small and trivially copyable; valid until the executor returns.
class task_ref {
 public:
  template <class Task>
    requires(!std::same_as<Task, task_ref>)
  explicit task_ref(const Task& task)
      : task_(&task), call_([](const void* erased, std::size_t i) { (*static_cast<const Task*>(erased))(i); }) {}
  void operator()(std::size_t i) const { call_(task_, i); }

 private:
  const void* task_;
  void (*call_)(const void*, std::size_t);
};

/// Any executor, as a value. An empty one is the default of every host backend: everything on the calling thread.
using executor = std::function<void(std::size_t tasks, task_ref task)>;

/// A callable that a host backend takes as its executor.
template <class F>
concept executor_function = std::copy_constructible<F> && std::invocable<F&, std::size_t, task_ref>;

}  // namespace infalign
