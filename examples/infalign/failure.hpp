// SPDX-License-Identifier: Apache-2.0
/// \file
/// What ends a command: one line that says where and what is wrong.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "printable.hpp"

namespace command {

/// Bad input, or a file that cannot be read or written.
struct failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Options that make no sense. The program ends with another exit code, and with a hint at `--help`.
struct usage_failure : failure {
  using failure::failure;
};

template <class... Parts>
[[noreturn]] void fail(fmt::format_string<Parts...> text, Parts&&... parts) {
  throw failure(fmt::format(text, std::forward<Parts>(parts)...));
}

/// The system's text for an error code.
inline std::string system_message(int code) {
  return std::generic_category().message(code);
}

/// `read(text)` for the value of an option. If the library throws, its message is passed on with the option's name in front, and
/// of a long value only the beginning.
template <class Read>
auto option_value(std::string_view option, const std::string& text, Read&& read) {
  try {
    return read(text);
  } catch (const std::runtime_error& wrong) {
    std::string message = wrong.what();
    message.erase(0, message.find(": ") + 2);
    if (const auto at = message.find(text); at != std::string::npos) message.replace(at, text.size(), excerpt(text));
    throw usage_failure(fmt::format("{}: {}", option, message));
  }
}

}  // namespace command
