// SPDX-License-Identifier: Apache-2.0
/// \file
/// A record that is any JSON object, by a full parser.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "failure.hpp"
#include "prompt_id.hpp"
#include "record_options.hpp"

namespace command {

/// What a record says. Views are valid until the next record is read.
struct record {
  prompt_id prompt{};
  prompt_id cluster{};          ///< without bytes if it is not read
  prompt_id stratum{};          ///< likewise
  std::vector<double> rewards;  ///< NaN for one that is missing
  /// Of every reward, as JSON; empty if they are not read.
  std::vector<std::string> answers;
  bool is_list = false;   ///< whether the rewards are a list
  bool is_count = false;  ///< whether they were given by their number

  /// `n` rewards, first those of 1.
  void set_counts(long long n, long long successes) {
    rewards.assign(static_cast<std::size_t>(n), 0.0);
    std::fill_n(rewards.begin(), successes, 1.0);
    is_list = is_count = true;
  }
  void clear() {
    prompt = cluster = stratum = {};
    rewards.clear();
    answers.clear();
    is_list = is_count = false;
  }
};

class json_record {
 public:
  /// A count stands for at most so many rewards.
  static constexpr long long most_counted = 1'000'000;

  explicit json_record(const record_options& options);
  ~json_record();

  /// Reads `text`, behind which `simdjson::SIMDJSON_PADDING` bytes must be readable. A field whose name is in `reserved` must not
  /// be there. `unfinished` says that the file ends with the text. Throws `failure` with what is wrong.
  ///
  /// Numbers are doubles, however many digits they have. What is no finite double, as 1e400 and the NaN and Infinity that Python
  /// writes, is an error in the fields that are read, and nobody's business in others.
  void read(std::string_view text, bool unfinished, const std::vector<std::string_view>& reserved, record& into);

 private:
  struct parser;
  std::unique_ptr<parser> parser_;
};

}  // namespace command
