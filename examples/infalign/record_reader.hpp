// SPDX-License-Identifier: Apache-2.0
/// \file
/// The records of a file: one JSON object a line, with the rewards of samples of a prompt.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "failure.hpp"
#include "flat_record.hpp"
#include "line_reader.hpp"
#include "prompt_id.hpp"

namespace command {

/// Reads `{"prompt_id": integer or string, "reward": x}` or `{"prompt_id": …, "rewards": [x, …]}`, other fields in any number.
///
/// Every line has to be one whole JSON object; lines of white space are skipped, CRLF and a byte order mark are accepted. Each
/// of the fields may be there once; rewards are finite numbers, at least one. Whatever else it finds is a `failure` that names
/// file, line and value.
class record_reader {
 public:
  explicit record_reader(const std::string& path);
  ~record_reader();

  /// Goes to the next record; false at the end of the file. Views of the record are valid until the next call.
  bool next();

  [[nodiscard]] const prompt_id& prompt() const { return prompt_; }
  [[nodiscard]] std::span<const double> rewards() const { return rewards_; }
  /// Whether the record has `"rewards"`.
  [[nodiscard]] bool is_list() const { return is_list_; }
  /// The line as it is, without its line feed.
  [[nodiscard]] std::string_view line() const { return lines_.line(); }
  /// These fields would be there twice if they were added to a record; it is a failure if one has them already.
  void reserve_fields(std::vector<std::string_view> names) { reserved_ = std::move(names); }

  /// Fails with file and line of the current record.
  template <class... Parts>
  [[noreturn]] void fail_here(fmt::format_string<Parts...> text, Parts&&... parts) const {
    fail("{}:{}: {}", lines_.name(), lines_.number(), fmt::format(text, std::forward<Parts>(parts)...));
  }
  [[nodiscard]] const line_reader& lines() const { return lines_; }

 private:
  struct parser;
  void parse_any();
  [[noreturn]] void fail_malformed(const char* why) const;

  line_reader lines_;
  flat_record flat_;
  std::unique_ptr<parser> parser_;
  prompt_id prompt_{};
  std::vector<double> rewards_;
  bool is_list_ = false;
  std::vector<std::string_view> reserved_;
};

}  // namespace command
