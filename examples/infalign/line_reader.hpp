// SPDX-License-Identifier: Apache-2.0
/// \file
/// The lines of a file or of standard input, of any length, in large blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace command {

class line_reader {
 public:
  /// How many bytes after a line, or after the end of the file, may be read; simdjson asks for so many. After the end of the file
  /// they are 0.
  static constexpr std::size_t padding = 64;

  /// `path` is `-` for standard input. Throws `failure` if it cannot be opened.
  explicit line_reader(std::string path);
  line_reader(const line_reader&) = delete;
  line_reader& operator=(const line_reader&) = delete;
  ~line_reader();

  /// The next line without its line feed, valid until the next call; false at the end. A byte order mark at the beginning of
  /// the file is left out. Throws `failure` if reading fails.
  bool next();
  [[nodiscard]] std::string_view line() const { return line_; }
  /// From 1.
  [[nodiscard]] std::uint64_t number() const { return number_; }
  /// Whether the line ends with the file and not with a line feed.
  [[nodiscard]] bool unfinished() const { return unfinished_; }
  /// The file as a message names it.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }
  /// 0 if it is not a file.
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  bool fill();

  bool standard_;  ///< input, which is not closed
  int file_;
  std::string name_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  ///< of what is not yet given out
  std::size_t end_ = 0;    ///< of what has been read
  std::string_view line_;
  std::uint64_t number_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t total_bytes_ = 0;
  bool unfinished_ = false;
};

}  // namespace command
