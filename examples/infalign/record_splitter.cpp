// SPDX-License-Identifier: Apache-2.0
#include "record_splitter.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"
#include "printable.hpp"

namespace command {

namespace {

std::uint64_t line_feeds(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Where `c` is in `text`, from `begin`; the end of the text if it is not there.
std::size_t find(std::string_view text, char c, std::size_t begin) {
  const void* const found = std::memchr(text.data() + begin, c, text.size() - begin);
  return found == nullptr ? text.size() : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

class line_splitter : public record_splitter {
 public:
  using record_splitter::record_splitter;
  bool next() override {
    std::size_t end = 0;
    while (end = find(text_.ahead(), '\n', end), end == text_.ahead().size())
      if (!text_.more()) break;
    unfinished_ = end == text_.ahead().size();
    if (unfinished_ && end == 0) return false;
    take_record(end, unfinished_ ? 0 : 1, 1);
    return true;
  }
};

class row_splitter : public record_splitter {
 public:
  using record_splitter::record_splitter;
  /// A row ends at the first line feed behind an even number of quotes: a quote within quotes is written twice.
  bool next() override {
    std::size_t end = 0, counted = 0;
    std::ptrdiff_t quotes = 0;
    std::uint64_t lines = 1;
    for (;;) {
      const std::string_view text = text_.ahead();
      end = find(text, '\n', end);
      quotes +=
          std::count(text.begin() + static_cast<std::ptrdiff_t>(counted), text.begin() + static_cast<std::ptrdiff_t>(end), '"');
      counted = end;
      if (end < text.size() && quotes % 2 == 0) break;
      if (end < text.size())
        ++end, ++lines;
      else if (!text_.more())
        break;
    }
    const bool last = end == text_.ahead().size();
    if (last && end == 0) return false;
    if (quotes % 2 != 0) fail("{}:{}: the file ends within quotes: {}", text_.name(), text_.line(), excerpt(text_.ahead()));
    take_record(end, last ? 0 : 1, lines);
    return true;
  }
};

class array_splitter : public record_splitter {
 public:
  using record_splitter::record_splitter;
  bool next() override {
    if (ended_) return false;
    if (!begun_) {
      expect('[', "an array begins with [");
      begun_ = true;
      if (next_byte() == ']') return end_array();
    } else {
      if (next_byte() == ']') return end_array();
      expect(',', "elements of the array are separated by commas");
    }
    const char first = next_byte();
    if (first == ',' || first == ']' || first == '}') fail_here("an element of the array is missing");
    const std::size_t size = element_size();
    take_record(size, 0, line_feeds(text_.ahead().substr(0, size)));
    return true;
  }

 private:
  /// Takes the white space, and looks at what follows; 0 at the end of the file.
  char next_byte() {
    for (;;) {
      const std::string_view text = text_.ahead();
      const std::size_t blanks = std::min(text.find_first_not_of(" \t\r\n"), text.size());
      text_.take(blanks, line_feeds(text.substr(0, blanks)));
      if (blanks < text.size()) return text[blanks];
      if (!text_.more()) return '\0';
    }
  }
  void expect(char c, std::string_view rule) {
    const char found = next_byte();
    if (found == '\0') fail_here("the file ends within its array");
    if (found != c) fail_here("{}, here is: {}", rule, excerpt(text_.ahead()));
    text_.take(1, 0);
  }
  bool end_array() {
    text_.take(1, 0);
    if (next_byte() != '\0') fail_here("something follows the array: {}", excerpt(text_.ahead()));
    ended_ = true;
    return false;
  }

  /// The bytes up to the comma or bracket that ends the element. `at` survives reading more, so that no byte is looked at twice.
  std::size_t element_size() {
    std::size_t at = 0, depth = 0;
    for (bool in_string = false;;) {
      const std::string_view text = text_.ahead();
      while (at < text.size()) {
        if (in_string) {
          at = find_special(text, at);
          if (at >= text.size()) break;
          if (text[at] == '\\' && at + 1 == text.size()) break;
          in_string = text[at] != '"';
          at += in_string ? 2 : 1;
          continue;
        }
        const char c = text[at];
        if (c == '"')
          in_string = true;
        else if (c == '{' || c == '[')
          ++depth;
        else if ((c == '}' || c == ']' || c == ',') && depth == 0)
          return trimmed(text, at);
        else if (c == '}' || c == ']')
          --depth;
        ++at;
      }
      if (!text_.more()) fail_here("the file ends within an element of its array: {}", excerpt(text_.ahead()));
    }
  }
  /// Where the next quote or backslash of a string is.
  static std::size_t find_special(std::string_view text, std::size_t at) {
    while (at < text.size() && text[at] != '"' && text[at] != '\\') ++at;
    return at;
  }
  static std::size_t trimmed(std::string_view text, std::size_t size) { return text.find_last_not_of(" \t\r\n", size - 1) + 1; }

  template <class... Parts>
  [[noreturn]] void fail_here(fmt::format_string<Parts...> text, Parts&&... parts) const {
    fail("{}:{}: {}", text_.name(), text_.line(), fmt::format(text, std::forward<Parts>(parts)...));
  }

  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<record_splitter> split_lines(text_reader& text) {
  return std::make_unique<line_splitter>(text);
}
std::unique_ptr<record_splitter> split_array(text_reader& text) {
  return std::make_unique<array_splitter>(text);
}
std::unique_ptr<record_splitter> split_rows(text_reader& text) {
  return std::make_unique<row_splitter>(text);
}

}  // namespace command
