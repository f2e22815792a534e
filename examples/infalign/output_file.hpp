// SPDX-License-Identifier: Apache-2.0
/// \file
/// Output that is there whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace command {

/// Until `commit` the wanted file is as it was, and a run that fails or is interrupted leaves nothing behind. What is written
/// depends on what the path leads to:
///
/// - No file, or a regular one: a temporary file beside it, which is on the disk before it is renamed. Whatever happens, also a
///   loss of power, the file is the old or the new one. It keeps owner (where that is allowed) and permissions; symbolic links
///   stay.
/// - A regular file that can be written but not replaced (its directory is read-only or sticky, or it is a mount): a temporary
///   file, whose content is copied by `commit` while signals wait. Only what cannot be held (SIGKILL, a loss of power) can leave a
///   part of it. A full disk is found while the old content is whole, unless the file system copies what is overwritten.
/// - An open descriptor (`-` or /dev/stdout, /dev/fd/N), a device or a pipe: written to directly, where its offset is.
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
  void open_descriptor(int number);
  void open_path(const std::string& path);
  void open_beside();
  void open_unnamed();
  void take_name();
  void overwrite();
  void flush();
  [[noreturn]] void fail_writing(int code) const;

  std::string name_;
  std::string target_;     ///< links followed
  std::string temporary_;  ///< empty for a file without a name, and when written to directly
  int file_ = -1;
  bool direct_ = true;
  std::string buffer_;
};

/// `text` to a file, or to standard output for `-`.
void write_output(const std::string& path, std::string_view text);

/// If the program was started without standard input, output or error, opens a file in its place that cannot be used. Otherwise the
/// next file opened would get that number, and be taken for it. Call it before any other file is opened.
void hold_standard_files();

}  // namespace command
