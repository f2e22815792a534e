// SPDX-License-Identifier: Apache-2.0
/// \file
/// Independent pieces of work on a few threads. Results do not depend on the number of threads: a job touches its own data alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace align {

/// Stages that must run one after another, for example the KL weights of one method.
struct job {
  std::vector<std::function<void()>> stages;
  std::size_t next = 0;
  bool running = false;

  [[nodiscard]] std::size_t left() const { return stages.size() - next; }
};

/// Runs all jobs. A free thread takes the next stage of the job with the most stages left, so that no long job is left for the end.
class job_queue {
 public:
  void add(std::vector<std::function<void()>> stages) { jobs_.push_back({std::move(stages)}); }

  /// Rethrows the first exception of a stage, after the stages that were running have ended.
  void run(unsigned threads) {
    std::vector<std::thread> workers;
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back([this] { work(); });
    work();
    for (std::thread& worker : workers) worker.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (job* const mine = longest()) {
      mine->running = true;
      lock.unlock();
      const std::exception_ptr failure = run_stage(*mine);
      lock.lock();
      mine->running = false;
      ++mine->next;
      if (failure && !failure_) failure_ = failure;
    }
  }

  /// The waiting job with the most stages left; none once a stage has failed. A thread that finds none may stop, because a job that
  /// is not waiting is being run by a thread that will take its next stage as well.
  job* longest() {
    job* best = nullptr;
    for (job& candidate : jobs_)
      if (!failure_ && !candidate.running && candidate.left() > (best ? best->left() : 0)) best = &candidate;
    return best;
  }

  static std::exception_ptr run_stage(job& mine) {
    try {
      mine.stages[mine.next]();
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }

  std::vector<job> jobs_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace align
