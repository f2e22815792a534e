// SPDX-License-Identifier: Apache-2.0
/// \file
/// How far a long run is, on standard error, if that is a terminal.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "printable.hpp"

namespace command {

class progress {
 public:
  /// `total_bytes` is 0 where it is not known.
  progress(std::string_view what, std::uint64_t total_bytes)
      : what_(shortened(what, 60)), total_(total_bytes), terminal_(isatty(STDERR_FILENO) != 0) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  /// Leaves a clean line.
  ~progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  /// Cheap enough to be called for every record: it looks at the clock once in a few thousand.
  void update(std::uint64_t records, std::uint64_t bytes) {
    if (terminal_ && records % 8192 == 0) draw(records, bytes);
  }

 private:
  void draw(std::uint64_t records, std::uint64_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    std::string line = fmt::format("\r\033[K{}: {:.1f} M records, {:.1f} M/s", what_, 1e-6 * static_cast<double>(records),
                                   1e-6 * static_cast<double>(records) / seconds);
    if (total_ != 0 && bytes != 0) {
      const double share = static_cast<double>(bytes) / static_cast<double>(total_);
      line += fmt::format(", {:.0f} %, about {:.0f} s left", 100 * share, seconds / share - seconds);
    }
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
    drawn_ = true;
  }

  std::string what_;
  std::uint64_t total_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = start_;
};

}  // namespace command
