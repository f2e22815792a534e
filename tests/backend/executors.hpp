// SPDX-License-Identifier: Apache-2.0
/// \file
/// Executors of several kinds, for what must not depend on them.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "infalign/backend/executor.hpp"

#if INFALIGN_TEST_TBB
#include <tbb/parallel_for.h>
#endif

namespace infalign::test {

/// As many threads as asked for, which take the next task until there is none.
struct thread_group {
  int threads;
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i)
      workers.emplace_back([&] {
        for (std::size_t t = next++; t < tasks; t = next++) task(t);
      });
    for (std::thread& worker : workers) worker.join();
  }
};

/// The last task first.
struct backwards {
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    for (std::size_t i = tasks; i-- > 0;) task(i);
  }
};

#ifdef _OPENMP
struct openmp {
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
#pragma omp parallel for schedule(dynamic) num_threads(3)
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }
};
#endif

#if INFALIGN_TEST_TBB
struct tbb_threads {
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    tbb::parallel_for(std::size_t{0}, tasks, task);
  }
};
#endif

template <class Use>
void for_each_executor(const Use& use) {
  for (const int threads : {1, 2, 5}) use(executor(thread_group{threads}));
  use(executor(backwards{}));
#ifdef _OPENMP
  use(executor(openmp{}));
#endif
#if INFALIGN_TEST_TBB
  use(executor(tbb_threads{}));
#endif
}

}  // namespace infalign::test
