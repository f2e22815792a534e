// SPDX-License-Identifier: Apache-2.0
/// \file
/// The text of a file cut into that of its records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "text_reader.hpp"

namespace command {

enum class record_format {
  json_lines,  ///< one JSON object a line
  json_array,  ///< one array of objects
  csv          ///< rows of RFC 4180; the first is the header
};

class record_splitter {
 public:
  explicit record_splitter(text_reader& text) : text_(text) {}
  record_splitter(const record_splitter&) = delete;
  record_splitter& operator=(const record_splitter&) = delete;
  virtual ~record_splitter() = default;

  /// Goes to the next record; false at the end. Throws `failure`, with file and line, for what is not in the format.
  virtual bool next() = 0;
  /// The record as it is, without the line feed, comma or bracket behind it. Valid until the next call; `text_reader::padding` bytes
  /// behind it may be read.
  [[nodiscard]] std::string_view record() const { return record_; }
  /// The line at which the record begins, from 1.
  [[nodiscard]] std::uint64_t line() const { return line_; }
  /// Whether the record ends with the file, where something should have followed it.
  [[nodiscard]] bool unfinished() const { return unfinished_; }

 protected:
  /// Makes the first `size` bytes ahead the record, and takes `lines` lines and `behind` bytes behind it.
  void take_record(std::size_t size, std::size_t behind, std::uint64_t lines) {
    line_ = text_.line();
    record_ = text_.ahead().substr(0, size);
    text_.take(size + behind, lines);
  }

  text_reader& text_;  // NOLINT: for those that cut
  std::string_view record_;
  std::uint64_t line_ = 0;
  bool unfinished_ = false;
};

/// Every line, blank ones too.
std::unique_ptr<record_splitter> split_lines(text_reader& text);
/// Every element of an array. Brackets are matched, and nothing else is looked at.
std::unique_ptr<record_splitter> split_array(text_reader& text);
/// Every row, which may hold line feeds within quotes.
std::unique_ptr<record_splitter> split_rows(text_reader& text);

}  // namespace command
