// SPDX-License-Identifier: Apache-2.0
/// \file
/// Text of others (ids, file names, arguments) for a terminal: nothing in it moves the cursor, turns the direction of reading, or
/// is there unseen.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace command {

/// The first character of UTF-8 text. A byte that begins none, an overlong form and a surrogate are not valid, and of size 1.
struct utf8_character {
  char32_t code;
  std::size_t size;
  bool valid;
};
utf8_character first_character(std::string_view text);

/// Whether it can be shown as it is. Control characters (C0, DEL, C1), separators of lines, formatting characters without a width
/// (of direction, joining, variation, tags), blank fillers and what is no character cannot.
bool is_printable(char32_t code);

/// `text` with `\x1b` for a control character or a byte that is not UTF-8, and `\u{202e}` for other characters that cannot be
/// shown.
std::string printable(std::string_view text);

/// The beginning of `printable(text)`, with … for the rest where it is longer than that many characters.
std::string excerpt(std::string_view text, std::size_t longest = 60);
/// The same, but the middle is left out: a path or a message says much in its last part.
std::string shortened(std::string_view text, std::size_t longest);

}  // namespace command
