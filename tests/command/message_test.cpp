// SPDX-License-Identifier: Apache-2.0
// What others wrote (ids, file names, arguments) as it is shown: nothing that a terminal obeys, and not too much of it.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "json_text.hpp"
#include "printable.hpp"

using command::excerpt, command::json_string, command::printable, command::shortened;
using namespace infalign::test;

namespace {

const std::string good_prompt = "{\"prompt_id\":\"a\",\"rewards\":[1,2,3]}\n";

std::string utf8(char32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
  if (c < 0x10000)
    return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
  return {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
          static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
}

/// One line, short, and without a byte that is not printable ASCII or part of a printable character.
void check_message(const outcome& failed, std::size_t longest) {
  CHECK(failed.code != 0);
  CHECK(failed.out.empty());
  CHECK(lines_of(failed.err).size() == 1);
  CHECK(failed.err.size() <= longest);
  REQUIRE(failed.err.size() > 1);
  CHECK(printable(failed.err.substr(0, failed.err.size() - 1)) + "\n" == failed.err);
}

}  // namespace

TEST_CASE("what can be shown is shown as it is, the rest is escaped") {
  CHECK(printable("plain text, größer, 漢字, 😀: \\ \"") == "plain text, größer, 漢字, 😀: \\ \"");
  CHECK(printable(std::string("\0\t\n\r\x1b\x7f", 6)) == "\\x00\\x09\\x0a\\x0d\\x1b\\x7f");
  CHECK(printable("\xC2\x9B"
                  "31m") == "\\u{9b}31m");
  CHECK(printable("a\u202e\u2066\u200b\u200f\ufeff\u2028\u00ad"
                  "b") == "a\\u{202e}\\u{2066}\\u{200b}\\u{200f}\\u{feff}\\u{2028}\\u{ad}b");
  CHECK(printable(utf8(0xE0041) + utf8(0x1D173) + utf8(0xFFFE)) == "\\u{e0041}\\u{1d173}\\u{fffe}");
  // No UTF-8: a byte that stands alone, overlong forms, a surrogate, what is beyond Unicode, a character that is cut.
  CHECK(printable("\xFF\x80"
                  "a") == "\\xff\\x80a");
  CHECK(printable("\xC0\xAF\xE0\x80\xAF\xF0\x80\x80\xAF") == "\\xc0\\xaf\\xe0\\x80\\xaf\\xf0\\x80\\x80\\xaf");
  CHECK(printable("\xED\xA0\x80\xF4\x90\x80\x80\xF5\xE2\x82") == "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xf5\\xe2\\x82");
}

TEST_CASE("every character is itself or an escape") {
  std::size_t escaped = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    const std::string text = utf8(c), shown = printable(text);
    escaped += shown != text;
    const bool as_expected = (shown == text) == command::is_printable(c) && (shown == text || shown[0] == '\\');
    if (!as_expected) FAIL_CHECK("U+" << std::hex << static_cast<unsigned>(c));
  }
  // By Python's unicodedata: 65 controls, 163 formatting characters, 2 separators, 267 marks and letters without a shape, most of
  // them variation selectors, and 3842 numbers without a character: noncharacters, and what is reserved for the like.
  CHECK(escaped == 4339);
}

TEST_CASE("long text is cut between characters and escapes") {
  CHECK(excerpt("abcdef", 6) == "abcdef");
  CHECK(excerpt("abcdefg", 6) == "abcdef…");
  CHECK(excerpt("ä\xC3\xA4\xC3\xA4\xC3\xA4", 3) == "äää…");
  CHECK(excerpt("ab\x1b"
                "c",
                5) == "ab…");
  CHECK(excerpt("ab\x1b", 6) == "ab\\x1b");
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdefghij", 6) == "abcd…ij");
  CHECK(shortened("aaaa\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", 6) == "aaaa…ä");
  CHECK(shortened("aaaaaaaa\x1b\x1b", 9) == "aaaaaa…");
}

TEST_CASE("JSON strings are ASCII where a terminal would obey, and always UTF-8") {
  CHECK(json_string("größer \"\\\n\x7f") == "\"größer \\\"\\\\\\u000a\\u007f\"");
  CHECK(json_string("\u202e" + utf8(0xE0041)) == "\"\\u202e\\udb40\\udc41\"");
  CHECK(json_string("a\xFF") == "\"a\\ufffd\"");
  for (const char32_t c : {U'\u202e', U'\U000E0041', U'\u0085', U'é'}) {  // they read back as they were
    const json_document back("{\"a\": " + json_string(utf8(c)) + "}");
    CHECK(std::string(back["a"].get_string().value()) == utf8(c));
  }
}

TEST_CASE("an id of five megabytes makes a short message") {
  const work_directory work;
  const std::string id = "{\"prompt_id\":\"" + std::string(5'000'000, 'x') + "\",\"reward\":1}\n";
  work.write("a.jsonl", good_prompt);
  work.write("long.jsonl", id);
  for (const char* arguments : {"calibrate --reference a.jsonl --rollouts long.jsonl",
                                "win-rate --policy long.jsonl --reference a.jsonl --procedure standard",
                                "win-rate --policy a.jsonl --reference long.jsonl --procedure best_of:2",
                                "compare --policy long.jsonl --baseline a.jsonl --reference a.jsonl --procedure standard",
                                "evaluate --reference long.jsonl --procedure standard --transform identity --beta 1"}) {
    CAPTURE(arguments);
    check_message(work.infalign(arguments), 200);
  }
}

TEST_CASE("nothing in a file, a name or an argument reaches the terminal raw") {
  const work_directory work;
  work.write("a.jsonl", good_prompt);
  std::vector<std::string> hostile{"\x1b[31m",
                                   "\x07",
                                   "\xC2\x9B"
                                   "31m",
                                   "\u202e",
                                   "\u2066",
                                   "\u200b",
                                   "\xFF\xFE",
                                   "\x7f",
                                   "\r",
                                   "\u2028"};
#ifdef INFALIGN_TEST_GRID_MIXED  // sanitizers are slow, and one text goes the ways of all
  hostile.resize(1);
#endif
  for (const std::string& text : hostile) {
    CAPTURE(printable(text));
    work.write("p.jsonl", "{\"prompt_id\":\"" + text + "\",\"reward\":1}\n");
    check_message(work.infalign("calibrate --reference a.jsonl --rollouts p.jsonl"), 300);
    work.write("p.jsonl", "{\"prompt_id\":\"a\",\"reward\":\"" + text + "\"}\n");
    check_message(work.infalign("calibrate --reference a.jsonl --rollouts p.jsonl"), 300);
    work.write("p.jsonl", text + "\n");
    check_message(work.infalign("calibrate --reference a.jsonl --rollouts p.jsonl"), 300);
    const std::string quoted = "'" + text + "'";
    check_message(work.infalign("calibrate --reference a.jsonl --rollouts " + quoted), 300);
    check_message(work.infalign("calibrate --reference a.jsonl --rollouts a.jsonl --output none/" + quoted), 300);
    check_message(work.infalign("calibrate --reference a.jsonl --rollouts a.jsonl --transform " + quoted), 600);
    check_message(work.infalign("plan --procedure " + quoted + " --kl 1"), 600);
    check_message(work.infalign("plan --procedure standard --kl " + quoted), 300);
    check_message(work.infalign("plan --procedure standard --beta " + quoted), 300);
    check_message(work.infalign("plan --" + quoted), 300);
    check_message(work.infalign(quoted), 300);
    work.write("name" + text, good_prompt);
    const outcome compared =
        work.infalign("compare --policy 'name" + text + "' --baseline a.jsonl --reference a.jsonl --procedure standard");
    CHECK(compared.code == 0);
    for (const std::string& line : lines_of(compared.out)) CHECK(printable(line) == line);
  }
}

TEST_CASE("arguments of any length make short messages") {
  const work_directory work;
  work.write("a.jsonl", good_prompt);
  const std::string longest(100'000, 'x');
  for (const std::string& arguments :
       {"calibrate --reference a.jsonl --rollouts " + longest,
        "calibrate --reference a.jsonl --rollouts a.jsonl --output " + longest,
        "calibrate --reference a.jsonl --rollouts a.jsonl --ties " + longest,
        "calibrate --reference a.jsonl --rollouts a.jsonl --transform " + longest, "plan --kl 1 --procedure " + longest,
        "plan --kl " + longest + " --procedure standard", "plan --procedure standard --beta " + longest,
        "win-rate --policy a.jsonl --reference a.jsonl --procedure standard --level " + longest, longest,
        "calibrate --reference a.jsonl --rollouts a.jsonl --prompt-field " + longest})
    check_message(work.infalign(arguments), 1100);
}

TEST_CASE("a level just below 1 has intervals") {
  const work_directory work;
  work.write("a.jsonl", good_prompt + "{\"prompt_id\":\"b\",\"rewards\":[1,4,3,2]}\n{\"prompt_id\":\"a\",\"rewards\":[4]}\n");
  for (const char* command : {"win-rate --policy a.jsonl --reference a.jsonl --procedure best_of:2",
                              "compare --policy a.jsonl --baseline a.jsonl --reference a.jsonl --procedure best_of:2",
                              "evaluate --reference a.jsonl --procedure best_of:2 --transform identity --beta 1"})
    for (const char* level : {"0.99999999999999994", "0.9999999999999999", "1e-17", "5e-324"}) {
      const outcome table = work.infalign(std::string(command) + " --level " + level);
      CHECK(table.code == 0);
      CHECK(table.out.find("nan") == std::string::npos);
      CHECK(work.infalign(std::string(command) + " --json --level " + level).out.find("null") == std::string::npos);
    }
  CHECK(work.infalign("win-rate --policy a.jsonl --reference a.jsonl --procedure standard --level 0.99999999999999999").code ==
        2);
}
