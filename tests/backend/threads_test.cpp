// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

#include "backend/every_algorithm.hpp"

#if INFALIGN_TEST_TBB
#include <tbb/parallel_for.h>
#endif

namespace {

using infalign::test::every_algorithm;

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

template <class T, class Backend>
std::vector<std::vector<double>> results_of(Backend on) {
  every_algorithm<infalign::test::configuration<T, Backend>> all;
  all.run(on);
  auto results = all.results();
  for (auto& narrow : all.narrow_results()) results.push_back(std::move(narrow));
  return results;
}

template <class T, class Executor>
void check_executor(const Executor& executor) {
  CHECK(results_of<T>(infalign::simd(executor)) == results_of<T>(infalign::simd()));
}

}  // namespace

TEST_CASE_TEMPLATE("results are the same to the bit for any number of threads", T, float, double) {
  for (const int threads : {1, 2, 5}) check_executor<T>(thread_group{threads});
  check_executor<T>(backwards{});
#ifdef _OPENMP
  check_executor<T>(openmp{});
#endif
#if INFALIGN_TEST_TBB
  check_executor<T>(tbb_threads{});
#endif
}

TEST_CASE("plain loops take threads too") {
  CHECK(results_of<float>(infalign::scalar(thread_group{3})) == results_of<float>(infalign::scalar()));
}

TEST_CASE("the first bad value is reported whatever thread finds one") {
  std::vector<float> values(1'000'000, 1.0f), out(values.size());
  values[999'999] = values[700'001] = values[40'000] = 2;
  infalign::simd on(thread_group{4});
  CHECK(infalign::test::message_of<infalign::domain_error>([&] { infalign::apply(on, infalign::identity(), values, out); }) ==
        "apply: in[40000] is 2, must be in [0, 1]");
}
