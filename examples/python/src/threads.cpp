// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "arrays.hpp"

namespace infalign_python {

namespace {

/// An executor that starts `threads - 1` threads for each run. Threads of a pool would not survive a fork, and starting one takes some
/// 20 µs, which a call with more than one task is long enough for.
struct started_threads {
  int threads;
  void operator()(std::size_t tasks, infalign::task_ref task) const {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < tasks; i = next++) task(i);
    };
    std::vector<std::thread> started;
    const auto wanted = std::min(static_cast<std::size_t>(threads), tasks);
    try {
      while (started.size() + 1 < wanted) started.emplace_back(work);
    } catch (const std::system_error&) {  // no more threads to be had: those that run do the work
    }
    work();
    for (std::thread& thread : started) thread.join();
  }
};

}  // namespace

infalign::executor threads_of(std::string_view function, int threads) {
  if (threads < 1) raise_value_error(function, "threads is " + std::to_string(threads) + ", must be at least 1");
  if (threads == 1) return {};
  return started_threads{threads};
}

}  // namespace infalign_python
