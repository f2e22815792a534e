// SPDX-License-Identifier: Apache-2.0
/// \file
/// Records that are rows of comma-separated values (RFC 4180).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json_record.hpp"
#include "record_options.hpp"

namespace command {

/// The columns are named by the header, as the fields of records are. A row has one reward, or the counts `n` and `successes`. An id
/// that is written as an integer is one, in quotes or not. A reward that is empty or NaN, NA, null or None is missing.
class csv_record {
 public:
  explicit csv_record(const record_options& options) : options_(options) {}

  /// Reads the header. A column whose name is in `reserved` must not be there. Throws `failure`.
  void read_header(std::string_view row, const std::vector<std::string_view>& reserved);
  /// Reads a row into a record whose views are valid until the next row. Throws `failure`.
  void read(std::string_view row, record& into);

 private:
  void split(std::string_view row);
  std::optional<std::size_t> column(std::string_view name) const;
  [[nodiscard]] prompt_id id(std::size_t column, std::string_view row) const;
  [[nodiscard]] double reward(std::string_view field) const;
  void read_answer(std::string_view row, record& into) const;
  [[nodiscard]] long long count(std::size_t column, long long least, long long most) const;

  record_options options_;
  std::vector<std::string> names_;
  std::size_t prompt_ = 0;
  std::optional<std::size_t> cluster_, stratum_, answer_;
  std::optional<std::size_t> reward_;  ///< otherwise the counts
  std::size_t samples_ = 0, successes_ = 0;

  std::vector<std::string_view> fields_;  ///< of the row
  std::string unquoted_;                  ///< those that held quotes
};

}  // namespace command
