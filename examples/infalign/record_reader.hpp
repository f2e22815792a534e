// SPDX-License-Identifier: Apache-2.0
/// \file
/// The records of a file, with the rewards of samples of a prompt.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "csv_record.hpp"
#include "failure.hpp"
#include "flat_record.hpp"
#include "json_record.hpp"
#include "prompt_id.hpp"
#include "record_options.hpp"
#include "record_splitter.hpp"
#include "text_reader.hpp"

namespace command {

/// Reads `{"prompt_id": integer or string, "reward": x}`, `{"prompt_id": …, "rewards": [x, …]}` or `{"prompt_id": …, "n": 10,
/// "successes": 3}`, other fields in any number, or what the options name instead.
///
/// The file holds JSON lines, a JSON array, or CSV with a header; it may be compressed. Blank lines are skipped, CRLF and a byte order
/// mark are accepted. Each of the fields may be there once; rewards are finite numbers, at least one. Whatever else it finds is a
/// `failure` that names file, line and value.
class record_reader {
 public:
  record_reader(const std::string& path, const record_options& options);

  /// Goes to the next record; false at the end of the file. Views of the record are valid until the next call.
  bool next();

  [[nodiscard]] const prompt_id& prompt() const { return record_.prompt; }
  /// Of the prompt; without bytes where the options name no field for it.
  [[nodiscard]] const prompt_id& cluster() const { return record_.cluster; }
  /// Likewise.
  [[nodiscard]] const prompt_id& stratum() const { return record_.stratum; }
  /// Of every reward, as JSON; empty where the options name no field for them.
  [[nodiscard]] const std::vector<std::string>& answers() const { return record_.answers; }
  /// At least one. NaN stands for one that is missing, where the options let that be.
  [[nodiscard]] std::span<const double> rewards() const { return record_.rewards; }
  /// Whether the record has a list of rewards.
  [[nodiscard]] bool is_list() const { return record_.is_list; }
  /// Whether the rewards were given by their number, so that they have no order.
  [[nodiscard]] bool is_count() const { return record_.is_count; }
  /// How many rewards were missing so far.
  [[nodiscard]] std::uint64_t missing() const { return missing_; }
  /// The text of the record as it is, without the line feed or comma behind it.
  [[nodiscard]] std::string_view text() const { return records_->record(); }
  /// The line at which the record begins, from 1.
  [[nodiscard]] std::uint64_t line() const { return records_->line(); }
  /// Valid after the first call of `next`.
  [[nodiscard]] record_format format() const { return format_; }
  /// Of a CSV file, as it is.
  [[nodiscard]] const std::string& header() const { return header_; }
  /// These fields would be there twice if they were added to a record; it is a failure if one has them already.
  void reserve_fields(std::vector<std::string_view> names);

  /// Fails with file and line of the current record.
  template <class... Parts>
  [[noreturn]] void fail_here(fmt::format_string<Parts...> text, Parts&&... parts) const {
    fail("{}:{}: {}", text_.name(), line(), fmt::format(text, std::forward<Parts>(parts)...));
  }
  /// The file as a message names it, and how far it is read.
  [[nodiscard]] const text_reader& file() const { return text_; }

 private:
  void begin();
  bool read_flat();
  void read_any();

  record_options options_;
  text_reader text_;
  std::unique_ptr<record_splitter> records_;  ///< null before the first call of `next`
  record_format format_ = record_format::json_lines;
  std::string header_;
  flat_record flat_;
  enum class flat_keys { none, usual, chosen } keys_;
  flat_record::chosen_keys chosen_;
  json_record any_;
  csv_record csv_;
  record record_;
  std::uint64_t missing_ = 0;
  std::vector<std::string_view> reserved_;
};

}  // namespace command
