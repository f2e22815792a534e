// SPDX-License-Identifier: Apache-2.0
/// \file
/// A progress bar on standard error; on anything but a terminal, a line for every tenth of the work.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <string>

namespace align {

class progress {
 public:
  explicit progress(long total) : total_(total), terminal_(isatty(STDERR_FILENO) != 0) {}

  /// `n` units are done. Any thread may call it.
  void advance(long n = 1) {
    const long done = done_ += n;
    const long parts = terminal_ ? 500 : 10;
    if (done * parts / total_ != (done - n) * parts / total_) draw(done);
  }

 private:
  void draw(long done) {
    const std::lock_guard lock(mutex_);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double share = static_cast<double>(done) / static_cast<double>(total_);
    const double left = seconds / share - seconds;
    if (!terminal_) {
      std::fprintf(stderr, "training policies %3.0f %%  %4.0f s, about %.0f s left\n", 100 * share, seconds, left);
      return;
    }
    constexpr std::size_t width = 40;
    const auto full = static_cast<std::size_t>(share * static_cast<double>(width));
    const std::string bar = std::string(full, '#') + std::string(width - full, '.');
    std::fprintf(stderr, "\r\033[Ktraining policies [%s] %3.0f %%  about %.0f s left%s", bar.c_str(), 100 * share, left,
                 done == total_ ? "\n" : "");
    std::fflush(stderr);
  }

  long total_;
  bool terminal_;
  std::atomic<long> done_ = 0;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace align
