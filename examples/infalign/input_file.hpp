// SPDX-License-Identifier: Apache-2.0
/// \file
/// The bytes of a file or of standard input, decompressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decompressor.hpp"

namespace command {

/// gzip and zstd are known by their first bytes, whatever the name of the file. Other formats that are not text are errors that say
/// what to do.
class input_file {
 public:
  /// `path` is `-` for standard input. Throws `failure` if it cannot be opened.
  explicit input_file(std::string path);
  input_file(const input_file&) = delete;
  input_file& operator=(const input_file&) = delete;
  ~input_file();

  /// Reads some bytes and returns how many; 0 at the end. `to` has room for at least 16. Throws `failure` if reading fails.
  std::size_t read(std::span<char> to);
  /// The file as a message names it.
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Of the file as it is, compressed or not.
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }
  /// 0 if it is not a file.
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  std::size_t read_raw(std::span<char> to);
  std::size_t read_first(std::span<char> to);
  std::size_t decompress(std::span<char> to);

  bool standard_;  ///< input, which is not closed
  int file_;
  std::string name_;
  bool begun_ = false;
  std::unique_ptr<decompressor> decompressor_;  ///< null if the bytes are the text
  std::vector<char> compressed_;
  std::span<const char> rest_;  ///< of `compressed_`
  std::uint64_t bytes_read_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace command
