// SPDX-License-Identifier: Apache-2.0
/// \file
/// Output that is there whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace command {

/// Writes beside the file and renames at the end: until `commit`, the file is as it was, and a run that fails or is interrupted
/// leaves nothing behind. What cannot be replaced (`-` for standard output, a device, a pipe) is written to directly.
class output_file {
 public:
  /// Throws `failure` if it cannot be written.
  explicit output_file(const std::string& path);
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  ~output_file();

  /// What is appended to it is written when `flush_if_full` finds much of it.
  [[nodiscard]] std::string& buffer() { return buffer_; }
  void flush_if_full() {
    if (buffer_.size() >= block) flush();
  }
  /// The rest is written, and the file takes its name. Throws `failure`.
  void commit();

 private:
  static constexpr std::size_t block = std::size_t{1} << 18;
  void follow_links();
  void open_beside();
  void flush();
  [[noreturn]] void fail_writing(int code) const;

  std::string name_;
  std::string target_;     ///< links followed
  std::string temporary_;  ///< empty when written to directly
  bool standard_;          ///< output, which is not closed
  int file_ = -1;
  std::string buffer_;
};

/// `text` to a file, or to standard output for `-`.
void write_output(const std::string& path, std::string_view text);

/// What the program was started without, of standard input, output and error, becomes a file that cannot be used. Otherwise
/// the next file opened would take its number, and be read or written in its place. Before any other file is opened.
void hold_standard_files();

/// Interrupted by a signal, the program takes its temporary files away; signals that are ignored when it
/// starts stay so. Writing to a closed pipe, or beyond the largest size of a file, is an error as any other.
void handle_signals();

}  // namespace command
