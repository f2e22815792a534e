// SPDX-License-Identifier: Apache-2.0
/// \file
/// Records with calibrated rewards, in the format that they came in.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "calibrated_text.hpp"
#include "infalign/transform/any_transform.hpp"
#include "ranking.hpp"
#include "record_reader.hpp"

namespace command {

/// A record is written as it is, with three fields more before its closing brace, or three columns more.
class record_writer {
 public:
  record_writer(std::string name, infalign::any_transform transform)
      : transform_(std::move(name)), texts_(std::move(transform)) {}

  /// Appends the record that `from` is at, and before the first one what the file begins with.
  void write(std::string& out, const record_reader& from, ranking& references);
  /// Appends what the file ends with, after its last record.
  static void finish(std::string& out, const record_reader& from);

 private:
  void write_object(std::string& out, const record_reader& from, ranking& references);
  void write_row(std::string& out, const record_reader& from, ranking& references);
  void append_lists(std::string& out, const record_reader& from, ranking& references);
  const calibrated_text& text_of(const record_reader& from, double u, infalign::index_t references) {
    const calibrated_text& text = texts_.of(u, references);
    if (!std::isfinite(text.transformed())) fail_infinite(from, u, text.transformed(), references);
    return text;
  }
  [[noreturn]] void fail_infinite(const record_reader& from, double u, double value, infalign::index_t references) const;

  std::string transform_;
  calibrated_texts texts_;
  std::array<std::string, calibrated_text::names.size()> lists_;
  bool begun_ = false;
};

}  // namespace command
