// SPDX-License-Identifier: Apache-2.0
#include "marked_numbers.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace command {

namespace {

constexpr std::string_view written_mark = "\"\\u0001";  // that is number_mark

template <class Integer>
bool out_of_range(std::string_view digits) {
  Integer value{};
  return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc::result_out_of_range;
}

/// Whether a word is a number beyond the range of 64-bit integers or of doubles, or what some programs write for NaN and infinity.
bool to_be_marked(std::string_view word) {
  const std::string_view unsigned_word = word.substr(word.front() == '-' ? 1 : 0);
  for (const std::string_view name : {"NaN", "Infinity", "nan", "inf"})
    if (unsigned_word == name) return true;
  const std::size_t digits = std::min(unsigned_word.find_first_not_of("0123456789"), unsigned_word.size());
  if (digits == 0 || (digits > 1 && unsigned_word.front() == '0')) return false;
  if (digits + 1 < unsigned_word.size() && unsigned_word[digits] == '.' &&
      unsigned_word.find_first_of("0123456789", digits) != digits + 1)
    return false;  // 1.e400
  double value{};
  const auto [stop, status] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (stop != word.data() + word.size() || word.back() == '.') return false;
  if (digits < unsigned_word.size()) return status == std::errc::result_out_of_range;
  return word.front() == '-' ? out_of_range<std::int64_t>(word) : out_of_range<std::uint64_t>(word);
}

}  // namespace

std::string with_marked_numbers(std::string_view text) {
  constexpr std::string_view between = " \t\r\n{}[],:\"";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (text[at] == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else if (between.find(text[at]) == std::string_view::npos) {
      end = std::min(text.find_first_of(between, at), text.size());
    }
    const std::string_view word = text.substr(at, end - at);
    if (to_be_marked(word))
      (out.append(written_mark) += word) += '"';
    else
      out += word;
    at = end;
  }
  return out;
}

}  // namespace command
