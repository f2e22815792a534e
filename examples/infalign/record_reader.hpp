// SPDX-License-Identifier: Apache-2.0
/// \file
/// The records of a file: one JSON object a line, with the rewards of samples of a prompt.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "failure.hpp"
#include "flat_record.hpp"
#include "json_record.hpp"
#include "line_reader.hpp"
#include "prompt_id.hpp"
#include "record_options.hpp"

namespace command {

/// Reads `{"prompt_id": integer or string, "reward": x}`, `{"prompt_id": …, "rewards": [x, …]}` or `{"prompt_id": …, "n": 10,
/// "successes": 3}`, other fields in any number, or what the options name instead.
///
/// Every line has to be one whole JSON object; lines of white space are skipped, CRLF and a byte order mark are accepted. Each
/// of the fields may be there once; rewards are finite numbers, at least one. Whatever else it finds is a `failure` that names
/// file, line and value.
class record_reader {
 public:
  record_reader(const std::string& path, const record_options& options);

  /// Goes to the next record; false at the end of the file. Views of the record are valid until the next call.
  bool next();

  [[nodiscard]] const prompt_id& prompt() const { return record_.prompt; }
  /// At least one. NaN stands for one that is missing, where the options let that be.
  [[nodiscard]] std::span<const double> rewards() const { return record_.rewards; }
  /// Whether the record has a list of rewards.
  [[nodiscard]] bool is_list() const { return record_.is_list; }
  /// Whether the rewards were given by their number, so that they have no order.
  [[nodiscard]] bool is_count() const { return record_.is_count; }
  /// How many rewards were missing so far.
  [[nodiscard]] std::uint64_t missing() const { return missing_; }
  /// The line as it is, without its line feed.
  [[nodiscard]] std::string_view line() const { return lines_.line(); }
  /// These fields would be there twice if they were added to a record; it is a failure if one has them already.
  void reserve_fields(std::vector<std::string_view> names);

  /// Fails with file and line of the current record.
  template <class... Parts>
  [[noreturn]] void fail_here(fmt::format_string<Parts...> text, Parts&&... parts) const {
    fail("{}:{}: {}", lines_.name(), lines_.number(), fmt::format(text, std::forward<Parts>(parts)...));
  }
  [[nodiscard]] const line_reader& lines() const { return lines_; }

 private:
  bool read_flat();

  line_reader lines_;
  flat_record flat_;
  enum class flat_keys { none, usual, chosen } keys_;
  flat_record::chosen_keys chosen_;
  json_record any_;
  record record_;
  std::uint64_t missing_ = 0;
  std::vector<std::string_view> reserved_;
};

}  // namespace command
