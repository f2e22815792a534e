// SPDX-License-Identifier: Apache-2.0
/// \file
/// Output that is there whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace command {

/// Writes to a temporary file beside the wanted one, and renames it at the end. Until `commit` the wanted file is as it was, and a
/// run that fails or is interrupted leaves nothing behind. What cannot be replaced (`-` for standard output, a device, a pipe) is
/// written to directly.
class output_file {
 public:
  /// Throws `failure` if it cannot be written.
  explicit output_file(const std::string& path);
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  ~output_file();

  /// Append the output here. It is written in blocks, by `flush_if_full` and `commit`.
  [[nodiscard]] std::string& buffer() { return buffer_; }
  void flush_if_full() {
    if (buffer_.size() >= block) flush();
  }
  /// Writes the rest and gives the file its name. Throws `failure`.
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

/// If the program was started without standard input, output or error, opens a file in its place that cannot be used. Otherwise the
/// next file opened would get that number, and be taken for it. Call it before any other file is opened.
void hold_standard_files();

/// Makes the program remove its temporary file when a signal ends it. Signals that are ignored when it starts stay ignored. Writing
/// to a closed pipe, or beyond the largest size of a file, becomes an ordinary error.
void handle_signals();

}  // namespace command
