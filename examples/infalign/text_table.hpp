// SPDX-License-Identifier: Apache-2.0
/// \file
/// An aligned table for people.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "printable.hpp"

namespace command {

/// Columns as wide as their widest cell; the first is flush left, the others, numbers, flush right. Names are printable and not
/// too long.
class text_table {
 public:
  explicit text_table(std::vector<std::string> header) { add(std::move(header)); }
  void add(std::vector<std::string> row) {
    constexpr std::size_t longest = 100;
    for (std::string& cell : row) cell = shortened(cell, longest);
    rows_.push_back(std::move(row));
  }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_)
      for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns(row[c]));
    std::string out;
    for (const auto& row : rows_) {
      for (std::size_t c = 0; c < row.size(); ++c) {
        const std::string padding(widths[c] - columns(row[c]), ' ');
        out += c == 0 ? row[c] + padding : "  " + padding + row[c];
      }
      out.erase(out.find_last_not_of(' ') + 1) += '\n';
    }
    return out;
  }

 private:
  /// The characters of UTF-8 text: bytes that continue one do not count.
  static std::size_t columns(std::string_view cell) {
    return static_cast<std::size_t>(std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  }

  std::vector<std::vector<std::string>> rows_;
};

}  // namespace command
