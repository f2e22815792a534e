// SPDX-License-Identifier: Apache-2.0
/// \file
/// JSON as it is written: numbers that read back exactly, strings, and objects for people to read too.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <concepts>
#include <string>
#include <string_view>

#include "printable.hpp"

namespace command {

/// The shortest text that reads back as `value`; JSON has no infinity and no NaN, they become null.
inline void append_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

inline std::string number(double value) {
  std::string out;
  append_number(out, value);
  return out;
}

/// A character by its number in UTF-16, of which JSON needs two beyond 0xFFFF.
inline std::string json_escape(char32_t code) {
  if (code < 0x10000) return fmt::format("\\u{:04x}", static_cast<unsigned>(code));
  const auto beyond = static_cast<unsigned>(code) - 0x10000u;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800u + (beyond >> 10), 0xDC00u + (beyond & 0x3FFu));
}

/// `text` in quotes. What a terminal would obey or not show is escaped; a byte that is not UTF-8, as a file name may hold, is
/// U+FFFD.
inline std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const utf8_character next = first_character(text);
    if (!next.valid)
      out += json_escape(0xFFFD);
    else if (next.code == '"' || next.code == '\\')
      out.append(1, '\\').append(1, text.front());
    else if (!is_printable(next.code))
      out += json_escape(next.code);
    else
      out += text.substr(0, next.size);
    text.remove_prefix(next.size);
  }
  return out + '"';
}

/// The fields of an object, in the order in which they are added: `{"a": 1, "b": "c"}`.
class json_object {
 public:
  json_object& add(std::string_view key, double value) { return add_raw(key, number(value)); }
  json_object& add(std::string_view key, long long value) { return add_raw(key, std::to_string(value)); }
  json_object& add(std::string_view key, const std::string& value) { return add_raw(key, json_string(value)); }
  json_object& add(std::string_view key, const json_object& value) { return add_raw(key, value.text()); }
  template <std::same_as<bool> Bool>  // nothing else becomes a truth value by conversion
  json_object& add(std::string_view key, Bool value) {
    return add_raw(key, value ? "true" : "false");
  }
  /// `value` is JSON already.
  json_object& add_raw(std::string_view key, std::string_view value) {
    fields_ += fmt::format("{}{}: {}", fields_.empty() ? "" : ", ", json_string(key), value);
    return *this;
  }
  [[nodiscard]] std::string text() const { return "{" + fields_ + "}"; }

 private:
  std::string fields_;
};

}  // namespace command
