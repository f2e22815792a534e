// SPDX-License-Identifier: Apache-2.0
#include "printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace command {

namespace {

struct range {
  char32_t first, last;
};

/// By The Unicode Standard 15: general categories Cc, Cf, Zl, Zp and Cs, default ignorable code points, and what is no character.
/// Noncharacters at the end of every plane are found by arithmetic.
constexpr range unprintable[] = {
    {0x00, 0x1F},       {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},     {0x600, 0x605},     {0x61C, 0x61C},
    {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x115F, 0x1160},   {0x17B4, 0x17B5},
    {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},   {0x3164, 0x3164},   {0xD800, 0xDFFF},
    {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD},
    {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

std::string_view take(std::string_view& text, std::size_t size) {
  const std::string_view taken = text.substr(0, size);
  text.remove_prefix(size);
  return taken;
}

/// Takes one character off the front of `text`, as it is printed.
std::string take_printable(std::string_view& text) {
  const utf8_character next = first_character(text);
  const std::string_view bytes = take(text, next.size);
  if (!next.valid || next.code < 0x20 || next.code == 0x7F)
    return fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
  if (!is_printable(next.code)) return fmt::format("\\u{{{:x}}}", static_cast<unsigned>(next.code));
  return std::string(bytes);
}

/// An escape is ASCII, another character is one.
std::size_t columns(const std::string& printed) {
  return static_cast<unsigned char>(printed[0]) < 0x80 ? printed.size() : 1;
}

/// Whether no more than that many characters are printed.
bool fits(std::string_view text, std::size_t longest) {
  std::size_t used = 0;
  while (!text.empty() && used <= longest) used += columns(take_printable(text));
  return used <= longest;
}

}  // namespace

utf8_character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  const utf8_character invalid{first, 1, false};
  if (first < 0xC2 || first > 0xF4) return invalid;
  char32_t code = first & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return invalid;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return invalid;
  return {code, size, true};
}

bool is_printable(char32_t code) {
  if ((code & 0xFFFE) == 0xFFFE) return false;
  const auto* const found = std::lower_bound(std::begin(unprintable), std::end(unprintable), code,
                                             [](const range& r, char32_t c) { return r.last < c; });
  return found == std::end(unprintable) || code < found->first;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) out += take_printable(text);
  return out;
}

std::string excerpt(std::string_view text, std::size_t longest) {
  if (fits(text, longest)) return printable(text);
  std::string out;
  for (std::size_t used = 0;;) {
    const std::string next = take_printable(text);
    used += columns(next);
    if (used > longest) return out + "…";
    out += next;
  }
}

std::string shortened(std::string_view text, std::size_t longest) {
  if (fits(text, longest)) return printable(text);
  const std::size_t last = longest / 3;
  std::string end;
  for (std::size_t size = last;; --size) {  // bytes, which are never fewer than characters
    std::string_view tail = text.substr(text.size() - size);
    while (!tail.empty() && (tail.front() & 0xC0) == 0x80) tail.remove_prefix(1);
    if (fits(tail, last)) {
      end = printable(tail);
      break;
    }
  }
  return excerpt(text, longest - last) + end;
}

}  // namespace command
