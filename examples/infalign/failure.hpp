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

namespace command {

/// Bad input, or a file that cannot be read or written.
struct failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Options that make no sense: another exit code, and a hint at `--help`.
struct usage_failure : failure {
  using failure::failure;
};

template <class... Parts>
[[noreturn]] void fail(fmt::format_string<Parts...> text, Parts&&... parts) {
  throw failure(fmt::format(text, std::forward<Parts>(parts)...));
}

/// What the system said about its last call.
inline std::string system_message(int code) {
  return std::generic_category().message(code);
}

/// `read(text)` of an option's value; what the library finds wrong with it is said with the option's name.
template <class Read>
auto option_value(std::string_view option, const std::string& text, Read&& read) {
  try {
    return read(text);
  } catch (const std::runtime_error& wrong) {
    const std::string_view message = wrong.what();
    throw usage_failure(fmt::format("{}: {}", option, message.substr(message.find(": ") + 2)));
  }
}

}  // namespace command
