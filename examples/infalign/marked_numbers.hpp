// SPDX-License-Identifier: Apache-2.0
/// \file
/// Numbers that the JSON parser does not take, as strings that it does.
#pragma once

#include <string>
#include <string_view>

namespace command {

/// Begins the string that stands for such a number; the number as it was written follows.
constexpr char number_mark = '\x01';

/// The JSON text with these words as strings: integers beyond 64 bits, numbers beyond double precision, and what some programs write
/// for NaN and infinity. It is as long as before if there are none.
std::string with_marked_numbers(std::string_view text);

}  // namespace command
