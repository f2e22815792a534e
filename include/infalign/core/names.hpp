// SPDX-License-Identifier: Apache-2.0
/// \file
/// Names with parameters, `head:parameter:parameter`: how `name()` of a transform or a procedure writes them, and how they are read
/// back. The whole text has to match. Numbers are written and read the same in every locale. An error says what is wrong with which
/// text.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <locale>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"

namespace infalign {

/// What a transform or a procedure says of its own name. The lists in error messages and in the help of the command are made of it.
struct name_entry {
  std::string_view syntax;   ///< the head and the names of the parameters: `exponential:T`
  std::string_view example;  ///< a name that reads back as itself: `exponential:10`
  std::string_view summary;  ///< one line that says what it is
};

namespace detail {

/// A parameter as a user would write it, `exponential:-5`. It has as many digits as it takes to read it back exactly.
INFALIGN_KEYED inline std::string format_parameter(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The beginning of a long text, for a message.
INFALIGN_KEYED inline std::string shortened(std::string_view text) {
  constexpr std::size_t most = 200;
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;  // not within a character of UTF-8
  return std::string(text.substr(0, end)) + "…";
}

/// The parameters of one name, taken from left to right. What reads them by it has the instruction set in its linker name.
class INFALIGN_KEYED parameter_reader {
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
    if (!read_number(value, result) || !(result - result == T(0)))
      fail(parameter, " is '", shortened(value), "', must be a ", std::integral<T> ? "whole" : "finite", " number");
    return result;
  }
  [[nodiscard]] bool finished() const { return left_.empty(); }
  /// Nothing may be left.
  void finish() const {
    if (!finished()) fail("'", shortened(left_), "' is too much");
  }
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    raise<domain_error>(function_, "'", shortened(text_), "': ", parts..., syntax_.empty() ? "" : "; the syntax is ", syntax_);
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

  /// All of `text` as a number, written as `std::from_chars` reads it. Some standard libraries have no `from_chars` of `double` yet
  /// (libc++ before version 20); there a stream reads what has no other characters than those of decimal numbers.
  template <class T>
  static bool read_number(std::string_view text, T& number) {
    if constexpr (requires { std::from_chars(text.data(), text.data(), number); }) {
      const char* const end = text.data() + text.size();
      const auto [stop, status] = std::from_chars(text.data(), end, number);
      return status == std::errc() && stop == end;
    } else {
      if (text.starts_with('+') || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return false;
      std::istringstream in{std::string(text)};
      in.imbue(std::locale::classic());
      return in >> number && in.peek() == std::istringstream::traits_type::eof();
    }
  }

  std::string_view function_;
  std::string_view text_;
  std::string_view head_;
  std::string_view left_;  ///< empty, or from the next colon on
  std::string_view syntax_;
};

/// One line of a table of names: how the name is written, and the function that makes the value from its parameters.
template <class Value>
struct named_syntax {
  std::string_view syntax;
  Value (*read)(parameter_reader&);
  [[nodiscard]] std::string_view head() const { return syntax.substr(0, syntax.find(':')); }
};

/// A list of types. Each has `naming`, a `name_entry`, and `read(parameter_reader&)`, which makes a value.
template <class... Types>
struct type_list {};

template <class Type, class... Types>
constexpr bool contains(type_list<Types...>) {
  return (std::same_as<Type, Types> || ...);
}
/// The list with one type more.
template <class Last, class... Types>
type_list<Types..., Last> appended(type_list<Types...>);

/// The lines of a table of names, one for each type of the list.
template <class Value, class... Types>
INFALIGN_KEYED constexpr std::array<named_syntax<Value>, sizeof...(Types)> name_table(type_list<Types...>) {
  return {{{Types::naming.syntax, [](parameter_reader& in) -> Value { return Types::read(in); }}...}};
}

/// What the types of the list say of their names.
template <class... Types>
constexpr std::array<name_entry, sizeof...(Types)> name_entries(type_list<Types...>) {
  return {Types::naming...};
}

/// The value that `text` names. Errors: `domain_error`. It holds the text and what is wrong with it. For an unknown name it lists the
/// known ones.
template <class Value>
INFALIGN_KEYED Value parse_name(std::string_view function, std::string_view what, std::string_view text,
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

}  // namespace detail

}  // namespace infalign
