// SPDX-License-Identifier: Apache-2.0
/// \file
/// The short way through the usual record: a flat object of ASCII strings without escapes, numbers and literals.
#pragma once

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "prompt_id.hpp"

namespace command {

/// Reads a record in one pass, in half the time that a full JSON parser takes. It accepts only what it is sure of. For anything that
/// is not plain (escapes, other alphabets, nested values, fields that come twice, and every mistake) `read` returns false, and the
/// full parser decides. As many bytes as the longest key has, and at least eight, must be readable behind the text.
class flat_record {
 public:
  /// Keys with their quotes. Where `reward` and `rewards` are the same, its value says which of the two it is.
  struct usual_keys {
    static constexpr std::string_view prompt = "\"prompt_id\"", reward = "\"reward\"", rewards = "\"rewards\"";
  };
  struct chosen_keys {
    std::string prompt, reward, rewards;
    std::string cluster{};  ///< empty if it is not read
  };

  prompt_id prompt{};
  prompt_id cluster{};  ///< without bytes if it is not read or not there
  bool is_list = false;

  /// True if `text` is a plain record; then `prompt`, `is_list` and `rewards` are those of the record. A record with a field whose
  /// name is in `reserved` is not plain.
  template <class Keys>
  bool read(std::string_view text, const Keys& keys, const std::vector<std::string_view>& reserved,
            std::vector<double>& rewards) {
    if constexpr (std::endian::native != std::endian::little) return false;
    at_ = text.data();
    prompt = cluster = {};
    is_list = false;
    rewards.clear();
    skip_blanks();
    if (*at_ != '{') return false;
    do {
      ++at_;
      if (!read_field(keys, reserved, rewards)) return false;
      skip_blanks();
    } while (*at_ == ',');
    if (*at_++ != '}') return false;
    while (at_ < text.data() + text.size() && is_blank(*at_)) ++at_;  // not across the line feed behind a line
    return at_ == text.data() + text.size() && prompt.bytes.data() != nullptr && !rewards.empty();
  }

 private:
  static bool is_blank(char c) {
    return static_cast<unsigned char>(c) <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r');  // mostly one comparison
  }
  void skip_blanks() {
    while (is_blank(*at_)) ++at_;
  }

  /// Whether this text is next; then it is taken.
  bool take(std::string_view text) {
    if (std::memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    return true;
  }
  bool take_colon() {
    skip_blanks();
    if (*at_++ != ':') return false;
    skip_blanks();
    return true;
  }

  template <class Keys>
  bool read_field(const Keys& keys, const std::vector<std::string_view>& reserved, std::vector<double>& rewards) {
    skip_blanks();
    if (take(keys.prompt)) return take_colon() && read_id(prompt);
    if constexpr (requires { keys.cluster; })
      if (!keys.cluster.empty() && take(keys.cluster)) return take_colon() && read_id(cluster);
    if (take(keys.reward))
      return take_colon() && rewards.empty() &&
             (*at_ == '[' && keys.reward == keys.rewards ? read_list(rewards) : read_reward(rewards));
    if (take(keys.rewards)) return take_colon() && rewards.empty() && read_list(rewards);
    std::string_view key;
    if (!read_string(key) || !take_colon()) return false;
    for (const std::string_view name : reserved)
      if (key == name) return false;
    return skip_value();
  }

  /// Reads up to the closing quote, eight bytes at a time. A byte below 0x20 or above 0x7F, or a backslash, is not plain. The masks
  /// may have wrong bits above their lowest set bit, but that one is right, and only that one is used.
  bool read_string(std::string_view& text) {
    if (*at_ != '"') return false;
    const char* const begin = ++at_;
    constexpr std::uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    const auto zero_bytes = [](std::uint64_t x) { return (x - ones) & ~x; };
    for (;; at_ += 8) {
      std::uint64_t bytes;
      std::memcpy(&bytes, at_, 8);
      const std::uint64_t control = (bytes - 0x20 * ones) & ~bytes;
      const std::uint64_t special =
          (control | bytes | zero_bytes(bytes ^ ('"' * ones)) | zero_bytes(bytes ^ ('\\' * ones))) & high;
      if (special == 0) continue;
      at_ += std::countr_zero(special) / 8;
      text = {begin, static_cast<std::size_t>(at_ - begin)};
      return *at_++ == '"';
    }
  }

  static bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

  bool read_id(prompt_id& into) {
    if (into.bytes.data() != nullptr) return false;
    std::string_view text;
    if (*at_ == '"') {
      if (!read_string(text)) return false;
      into = {true, text};
      return true;
    }
    const char* const begin = at_;
    if (*at_ == '-') ++at_;
    const char* const digits = at_;
    while (is_digit(*at_)) ++at_;
    into = {false, {begin, static_cast<std::size_t>(at_ - begin)}};
    const bool plain = *digits != '0' || (begin == digits && at_ == digits + 1);  // neither 007 nor -0
    return plain && at_ > digits && at_ - digits <= 18 && *at_ != '.' && (*at_ | 0x20) != 'e';
  }

  /// A number, or true for 1 and false for 0.
  bool read_reward(std::vector<double>& rewards) {
    if (*at_ != 't' && *at_ != 'f') return read_number(rewards);
    rewards.push_back(*at_ == 't' ? 1 : 0);
    return take(*at_ == 't' ? "true" : "false");
  }

  /// Checks what `from_chars` accepts and JSON does not: leading zeros, and no digit before or after the point.
  bool read_number(std::vector<double>& rewards) {
    const char* digit = at_ + (*at_ == '-' ? 1 : 0);
    if (!is_digit(*digit) || (*digit == '0' && is_digit(digit[1]))) return false;
    const char* const first = digit;
    while (is_digit(*digit)) ++digit;
    if (digit - first > 18) return false;  // perhaps an integer beyond 64 bits
    if (*digit == '.' && !is_digit(digit[1])) return false;
    double value = 0;
    const auto [stop, status] = std::from_chars(at_, at_ + longest_number, value);
    at_ = stop;
    rewards.push_back(value);
    return status == std::errc();
  }

  bool read_list(std::vector<double>& rewards) {
    if (*at_ != '[') return false;
    is_list = true;
    do {
      ++at_;
      skip_blanks();
      if (!read_reward(rewards)) return false;
      skip_blanks();
    } while (*at_ == ',');
    return *at_++ == ']';
  }

  /// Skips the value of a field that is not needed. It must be valid JSON all the same.
  bool skip_value() {
    std::string_view text;
    if (*at_ == '"') return read_string(text);
    for (const std::string_view literal : {"true", "false", "null"})
      if (take(literal)) return true;
    unused_.clear();
    return read_number(unused_);
  }

  static constexpr std::ptrdiff_t longest_number = 64;  ///< what is longer is cut, and then not followed by what may follow
  const char* at_ = nullptr;
  std::vector<double> unused_;
};

}  // namespace command
