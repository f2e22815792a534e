// SPDX-License-Identifier: Apache-2.0
#include "csv_record.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <system_error>

#include "failure.hpp"
#include "printable.hpp"

namespace command {

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

std::string_view without_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? text.substr(0, 0) : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

template <class Number>
bool is_all(std::string_view text, Number& number) {
  const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  return status == std::errc() && stop == text.data() + text.size();
}

/// Whether JSON would write it as an integer of 64 bits.
bool is_integer(std::string_view text) {
  const std::string_view digits = text.substr(text.substr(0, 1) == "-" ? 1 : 0);
  if (digits.empty() || (digits.front() == '0' && text.size() > 1)) return false;
  std::int64_t below = 0;
  std::uint64_t above = 0;
  return is_all(text, below) || is_all(text, above);
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

}  // namespace

/// Cuts a row into its fields, without their quotes.
void csv_record::split(std::string_view row) {
  if (!row.empty() && row.back() == '\r') row.remove_suffix(1);
  fields_.clear();
  unquoted_.clear();
  unquoted_.reserve(row.size());  // so that views of it stay
  for (std::size_t at = 0;;) {
    if (at < row.size() && row[at] == '"') {
      const std::size_t begin = unquoted_.size();
      for (++at;; ++at) {
        const std::size_t quote = row.find('"', at);
        if (quote == std::string_view::npos) fail("a field does not end with a quote: {}", excerpt(row));
        unquoted_.append(row, at, quote - at);
        at = quote + 1;
        if (at == row.size() || row[at] != '"') break;
        unquoted_ += '"';
      }
      fields_.push_back(std::string_view(unquoted_).substr(begin));
      if (at < row.size() && row[at] != ',') fail("a field goes on behind its quotes: {}", excerpt(row.substr(at)));
    } else {
      const std::size_t end = std::min(row.find(',', at), row.size());
      fields_.push_back(row.substr(at, end - at));
      if (fields_.back().find('"') != std::string_view::npos)
        fail("a quote is within a field that is not in quotes: {}", excerpt(fields_.back()));
      at = end;
    }
    if (at == row.size()) return;
    ++at;
  }
}

std::optional<std::size_t> csv_record::column(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) return std::nullopt;
  if (std::find(found + 1, names_.end(), name) != names_.end()) fail("the header has the column {} twice", name);
  return static_cast<std::size_t>(found - names_.begin());
}

void csv_record::read_header(std::string_view row, const std::vector<std::string_view>& reserved) {
  split(row);
  names_.assign(fields_.begin(), fields_.end());
  for (const std::string_view name : reserved)
    if (column(name)) fail("{} is there already, and would be added a second time", name);
  const auto needed = [&](std::string_view name) {
    if (const auto found = column(name)) return *found;
    fail("this is read as CSV, and the header has no column {}: {}", name, excerpt(row));
  };
  prompt_ = needed(options_.prompt_field);
  if (!options_.cluster_field.empty()) cluster_ = needed(options_.cluster_field);
  if (!options_.stratum_field.empty()) stratum_ = needed(options_.stratum_field);
  if (!options_.answer_field.empty()) answer_ = needed(options_.answer_field);
  const std::string name = options_.reward_field.empty() ? "reward" : options_.reward_field;
  reward_ = column(name);
  if (const auto second = options_.second_field.empty() ? std::nullopt : column(options_.second_field)) {
    if (reward_) fail("the header has both {} and {}, the rewards must be there once", name, options_.second_field);
    reward_ = second;
  }
  if (reward_) return;
  if (options_.reward_field.empty() && column("n") && column("successes"))
    samples_ = needed("n"), successes_ = needed("successes");
  else
    needed(options_.second_field.empty() ? name : options_.reward_name());
}

prompt_id csv_record::id(std::size_t column, std::string_view row) const {
  const std::string_view field = fields_[column];
  if (field.empty()) fail("{} is empty: {}", names_[column], excerpt(row));
  return {!is_integer(field), field};
}

/// NaN if it is missing.
double csv_record::reward(std::string_view field) const {
  const std::string_view text = without_blanks(field);
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
  const std::string_view digits = text.substr(plus ? 1 : 0);
  double value = 0;
  const auto [stop, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (status == std::errc::result_out_of_range) value = std::strtod(std::string(digits).c_str(), nullptr);  // 0 or infinite
  if (stop == text.data() + text.size() && status != std::errc::invalid_argument && std::isfinite(value)) return value;
  if (const auto word = options_.of_word(text)) return *word;
  if (is_one_of(text, {"true", "True", "TRUE"})) return 1;
  if (is_one_of(text, {"false", "False", "FALSE"})) return 0;
  const bool missing = is_one_of(text, {"", "NaN", "nan", "NA", "null", "NULL", "None"});
  if (missing && options_.skips_missing()) return not_a_number;
  fail("{} is '{}', must be {}{}", names_[*reward_], excerpt(text), options_.reward_kind("a finite number"),
       missing ? " (--missing skip leaves it out)" : "");
}

long long csv_record::count(std::size_t column, long long least, long long most) const {
  long long number = 0;
  if (!is_all(without_blanks(fields_[column]), number) || number < least || number > most)
    fail("{} is {}, must be an integer from {} to {}", names_[column], excerpt(fields_[column]), least, most);
  return number;
}

/// The reward of a row with its answer; a reward without one is missing.
void csv_record::read_answer(std::string_view row, record& into) const {
  if (!reward_) fail("{} is read, and counts of passes have no answers", names_[*answer_]);
  const bool missing = fields_[*answer_].empty();
  if (missing && !options_.skips_missing())
    fail("{} is empty (--missing skip leaves it out): {}", names_[*answer_], excerpt(row));
  into.answers.push_back(missing ? "" : json(id(*answer_, row)));
  into.rewards.push_back(missing ? not_a_number : reward(fields_[*reward_]));
}

void csv_record::read(std::string_view row, record& into) {
  split(row);
  if (fields_.size() != names_.size())
    fail("the row has {} field{}, the header {}: {}", fields_.size(), fields_.size() == 1 ? "" : "s", names_.size(),
         excerpt(row));
  into.clear();
  into.prompt = id(prompt_, row);
  if (cluster_) into.cluster = id(*cluster_, row);
  if (stratum_) into.stratum = id(*stratum_, row);
  if (answer_) return read_answer(row, into);
  if (reward_) return into.rewards.push_back(reward(fields_[*reward_]));
  const long long n = count(samples_, 1, json_record::most_counted);
  into.set_counts(n, count(successes_, 0, n));
}

}  // namespace command
