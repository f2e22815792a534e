// SPDX-License-Identifier: Apache-2.0
/// \file
/// Compressed data, piece by piece.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace command {

class decompressor {
 public:
  struct progress {
    std::size_t consumed;
    std::size_t produced;
    bool complete;  ///< whether the data may end here
  };
  decompressor() = default;
  decompressor(const decompressor&) = delete;
  decompressor& operator=(const decompressor&) = delete;
  virtual ~decompressor() = default;

  /// Goes on as far as input and room for output allow. Several members or frames after one another are one text. Throws `failure`
  /// if the data is damaged.
  virtual progress run(std::span<const char> in, std::span<char> out) = 0;
};

/// For data that begins so, which is gzip or zstd; null for other data. Throws `failure` where the program was built without the
/// library for it.
std::unique_ptr<decompressor> decompressor_for(std::string_view beginning);

}  // namespace command
