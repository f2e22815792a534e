// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads names with parameters, `head:parameter:parameter`, as `name()` of a procedure or a transform writes them. Reading is
/// strict: the whole text has to match. Numbers are read the same in every locale. An error says what is wrong, and with which
/// text.
#pragma once

#include <charconv>
#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"

namespace infalign::detail {

/// The parameters of one name, taken from left to right.
class parameter_reader {
 public:
  parameter_reader(std::string_view function, std::string_view text)
      : function_(function), text_(text), head_(text.substr(0, text.find(':'))), left_(text.substr(head_.size())) {}

  [[nodiscard]] std::string_view head() const { return head_; }
  void set_syntax(std::string_view syntax) { syntax_ = syntax; }

  /// The next parameter, which is a finite number.
  double real(std::string_view parameter) { return number<double>(parameter, next(parameter)); }
  /// The next parameter, which is a whole number.
  index_t whole(std::string_view parameter) { return number<index_t>(parameter, next(parameter)); }
  /// All that is left, colons and all: an inner name, or a list.
  std::string_view rest(std::string_view parameter) {
    const std::string_view value = after_colon(parameter);
    left_ = {};
    return value;
  }
  /// All of `value` as a number.
  template <class T>
  [[nodiscard]] T number(std::string_view parameter, std::string_view value) const {
    T result{};
    const char* const end = value.data() + value.size();
    const auto [stop, status] = std::from_chars(value.data(), end, result);
    const bool finite = result - result == T(0);
    if (status != std::errc() || stop != end || !finite)
      fail(parameter, " is '", value, "', must be a ", std::integral<T> ? "whole" : "finite", " number");
    return result;
  }
  /// Nothing may be left.
  void finish() const {
    if (!left_.empty()) fail("'", left_, "' is too much");
  }
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    raise<domain_error>(function_, "'", text_, "': ", parts..., syntax_.empty() ? "" : "; the syntax is ", syntax_);
  }

 private:
  std::string_view after_colon(std::string_view parameter) const {
    if (left_.empty()) fail(parameter, " is missing");
    return left_.substr(1);
  }
  std::string_view next(std::string_view parameter) {
    const std::string_view value = after_colon(parameter);
    const std::string_view taken = value.substr(0, value.find(':'));
    left_ = value.substr(taken.size());
    return taken;
  }

  std::string_view function_;
  std::string_view text_;
  std::string_view head_;
  std::string_view left_;  ///< empty, or from the next colon on
  std::string_view syntax_;
};

/// A line of a table of names: the syntax of the name, and the function that reads its parameters and makes the value.
template <class Value>
struct named_syntax {
  std::string_view syntax;
  Value (*read)(parameter_reader&);
  [[nodiscard]] std::string_view head() const { return syntax.substr(0, syntax.find(':')); }
};

/// The value that `text` names. Errors: `domain_error`, which says the text and what is wrong with it. For an unknown name it
/// lists the known ones.
template <class Value>
Value parse_name(std::string_view function, std::string_view what, std::string_view text,
                 std::span<const named_syntax<Value>> table) {
  parameter_reader in(function, text);
  for (const named_syntax<Value>& entry : table) {
    if (entry.head() != in.head()) continue;
    in.set_syntax(entry.syntax);
    try {
      Value value = entry.read(in);
      in.finish();
      return value;
    } catch (const error& failure) {
      const std::string_view message = failure.what();
      if (message.substr(0, function.size()) == function) throw;
      in.fail(message);  // a parameter out of its domain
    }
  }
  std::string known;
  for (const named_syntax<Value>& entry : table) known.append(known.empty() ? "" : ", ").append(entry.syntax);
  in.fail("unknown ", what, ", must be one of ", known);
}

}  // namespace infalign::detail
