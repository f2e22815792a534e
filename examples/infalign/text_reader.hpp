// SPDX-License-Identifier: Apache-2.0
/// \file
/// A window over the text of a file, which moves and grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "input_file.hpp"

namespace command {

/// Whoever cuts the text into records looks at `ahead()`, calls `more()` until a record is whole, and then `take`s it.
class text_reader {
 public:
  /// How many bytes after `ahead()` may be read; simdjson asks for so many. After the end of the file they are 0.
  static constexpr std::size_t padding = 64;
  /// A record must not be longer.
  static constexpr std::size_t longest_record = std::size_t{1} << 28;

  /// `path` is `-` for standard input. A byte order mark at the beginning is left out. Throws `failure` if it cannot be opened.
  explicit text_reader(std::string path);

  /// What was read and not yet taken.
  [[nodiscard]] std::string_view ahead() const { return {buffer_.data() + begin_, end_ - begin_}; }
  /// Reads more behind what is ahead, which may move in memory; false at the end. Throws `failure` if reading fails, or if a record
  /// is too long.
  bool more();
  /// Goes on by `size` bytes and `lines` lines. They stay where they are until `more` is called.
  void take(std::size_t size, std::uint64_t lines) {
    begin_ += size;
    line_ += lines;
  }
  /// The first byte that is not white space, which stays ahead; 0 if there is none.
  char first();

  /// The line at which `ahead()` begins, from 1.
  [[nodiscard]] std::uint64_t line() const { return line_; }
  [[nodiscard]] const std::string& name() const { return file_.name(); }
  [[nodiscard]] std::uint64_t bytes_read() const { return file_.bytes_read(); }
  [[nodiscard]] std::uint64_t total_bytes() const { return file_.total_bytes(); }

 private:
  input_file file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  ///< of what is not yet taken
  std::size_t end_ = 0;    ///< of what has been read
  std::uint64_t line_ = 1;
  bool begun_ = false;
};

}  // namespace command
