// SPDX-License-Identifier: Apache-2.0
/// \file
/// Files of rewards that are nearly right: records with odd values, and bytes that are lost, doubled or changed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace infalign::test {

/// A number in as many bytes, the lowest first.
inline std::string little_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> 8 * i);
  return text;
}

/// `text`, of up to 65,535 bytes, as gzip writes what cannot be made shorter (RFC 1951, 3.2.4, and RFC 1952).
inline std::string stored_gzip(std::string text) {
  text.resize(std::min<std::size_t>(text.size(), 0xFFFF));
  std::uint32_t crc = ~0u;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  const std::string header("\x1F\x8B\x08\0\0\0\0\0\0\xFF\x01", 11);
  return header + little_endian(text.size(), 2) + little_endian(~text.size(), 2) + text + little_endian(~crc, 4) +
         little_endian(text.size(), 4);
}

/// The same for zstd: a frame of one raw block (RFC 8878, 3.1.1).
inline std::string stored_zstd(std::string text) {
  text.resize(std::min<std::size_t>(text.size(), 0xFFFF));
  return "\x28\xB5\x2F\xFD" + (little_endian(0xA0, 1) + little_endian(text.size(), 4)) +
         little_endian(text.size() << 3 | 1, 3) + text;
}

/// The same file for the same seed, on every machine.
class mutated_file {
 public:
  explicit mutated_file(std::uint64_t seed) : random_(seed) {}

  /// Records or what is left of them, in one of the formats: about a fifth of the files are good.
  std::string text() {
    const bool odd = below(2) == 0;
    const std::size_t format = below(8);
    std::string file = format == 0 ? array(odd) : format == 1 ? table(odd) : lines(odd);
    const std::size_t changes = below(2) == 0 ? 0 : below(4), compression = below(10);
    for (std::size_t i = 0; i < changes && !file.empty(); ++i) change(file);
    if (compression < 2) {
      file = compression == 0 ? stored_gzip(file) : stored_zstd(file);
      if (below(2) == 0) change(file);
    }
    return file;
  }
  /// A number below `limit`; the low bits of the generator are as good as others, and no distribution differs between libraries.
  std::size_t below(std::size_t limit) { return random_() % limit; }
  template <std::size_t N>
  std::string_view choose(const char* const (&of)[N]) {
    return of[below(N)];
  }

 private:
  std::string record() {
    return std::string(choose({R"({"prompt_id":"a","reward":2})", R"({"prompt_id":"a","rewards":[1,2,2.5]})",
                               R"({"reward":0.5,"prompt_id":"a","text":[1,{"x":null}]})",
                               R"( {"prompt_id" : "\u0061" , "reward" : 1e0 } )", R"({"prompt_id":"b","rewards":[3,-1]})",
                               R"({"prompt_id":7,"reward":true})", R"({"prompt_id":"b","reward":1})"}));
  }
  std::string any_record(bool odd) { return odd && below(3) == 0 ? odd_record() : record(); }
  std::string lines(bool odd) {
    std::string file(odd ? choose({"", "", "\xEF\xBB\xBF", "\n\n"}) : "");
    const std::string_view end = odd ? choose({"\n", "\n", "\n", "\r\n", "\n \t\n", "\r", "\xE2\x80\xA8"}) : "\n";
    for (std::size_t records = 1 + below(6); records > 0; --records) file.append(any_record(odd)) += end;
    if (below(4) == 0) file.resize(file.size() - end.size());
    return file;
  }
  std::string array(bool odd) {
    std::string file = "[" + any_record(odd);
    for (std::size_t records = below(5); records > 0; --records) file.append(choose({",", ", ", ",\n"})) += any_record(odd);
    return file + (below(2) == 0 ? "]" : "\n]\n");
  }
  std::string table(bool odd) {
    std::string file(choose({"prompt_id,reward\n", "reward,text,prompt_id\n"}));
    const bool swapped = file.front() == 'r';
    for (std::size_t rows = 1 + below(5); rows > 0; --rows) {
      const std::string reward(odd && below(3) == 0 ? odd_number() : choose({"1", "0.5", "true"}));
      const std::string id(odd && below(3) == 0 ? odd_id() : choose({"a", "\"b\"", "7"}));
      file += swapped ? reward + ",\"x, \"\"y\"\"\n\"," + id : id + ',' + reward;
      file += odd ? choose({"\n", "\n", "\r\n", ",\n", ""}) : "\n";
    }
    return file;
  }
  std::string odd_record() {
    std::string fields[] = {"\"prompt_id\":" + std::string(below(2) == 0 ? "\"a\"" : odd_id()), rewards()};
    const std::size_t first = below(2);
    std::string text = "{" + fields[first] + ',' + fields[1 - first];
    if (below(2) == 0) text += odd_field();
    return text + '}';
  }
  std::string rewards() {
    if (below(2) == 0) return "\"reward\":" + std::string(odd_number());
    if (below(4) == 0) return "\"n\":4,\"successes\":" + std::to_string(below(6));
    std::string list;
    for (std::size_t size = below(5); size > 0; --size)
      (list += list.empty() ? "" : ",") += below(3) == 0 ? odd_number() : std::string_view("1");
    return "\"rewards\":[" + list + ']';
  }
  std::string_view odd_number() {
    return choose({"-0",
                   "-0.0",
                   "1E+2",
                   "1e400",
                   "-1e400",
                   "1e-400",
                   "4.9e-324",
                   "1.7976931348623157e308",
                   "NaN",
                   "-Infinity",
                   "nan",
                   "0x10",
                   "01",
                   "1.",
                   ".5",
                   "+1",
                   "1e",
                   "--1",
                   "1_000",
                   "18446744073709551616",
                   "-9223372036854775809",
                   "0.1000000000000000055511151231257827021181583404541015625000000000000001",
                   "\"1\"",
                   "null",
                   "true",
                   "[]",
                   "{}",
                   "[[1]]",
                   "",
                   "1 2",
                   "1,",
                   "\xEF\xBC\x91"});
  }
  std::string_view odd_id() {
    return choose({"\"b\"",
                   "7",
                   "\"7\"",
                   "-7",
                   "7.0",
                   "-0",
                   "007",
                   "null",
                   "true",
                   "[]",
                   "{\"a\":1}",
                   "18446744073709551615",
                   "18446744073709551616",
                   "\"\"",
                   "\"\\u0000\"",
                   "\"\\ud800\"",
                   "\"\\ud83d\\ude00\"",
                   "\"\xFF\"",
                   "\"\xED\xA0\x80\"",
                   "\"\x1B[31m\"",
                   "\"\\u001b[31m\"",
                   "\"\xC2\x9B\"",
                   "\"\xE2\x80\xAE\"",
                   "\"a\\nb\"",
                   "\"a\nb\"",
                   "\"\\x\"",
                   "'a'",
                   "a",
                   "1e400",
                   "NaN"});
  }
  std::string odd_field() {
    if (below(8) == 0) return ",\"x\":" + std::string(below(1200), '[') + std::string(below(1200), ']');
    if (below(8) == 0) return ",\"x\":\"" + std::string(below(200'000), 'y') + '"';
    return std::string(choose({",\"x\":1,\"x\":2",
                               ",\"x\":1e400",
                               ",\"x\":NaN",
                               ",\"calibrated_reward\":1",
                               ",\"standard_error\":null",
                               ",\"transformed_reward\":{}",
                               ",\"prompt_id\":\"a\"",
                               ",\"\\u0070rompt_id\":\"b\"",
                               ",\"reward\":1",
                               ",\"rewards\":[]",
                               ",\"n\":3",
                               ",\"successes\":2",
                               ",\"n\":1000000,\"successes\":5",
                               ",\"n\":-1,\"successes\":0",
                               ",\"\":\"\"",
                               ",\"x\":tru",
                               ",\"x\":\"\t\"",
                               ",",
                               ",,",
                               ",\"x\"",
                               ",\"x\":",
                               "}{",
                               " // text"}));
  }

  void change(std::string& file) {
    const std::size_t at = below(file.size()), size = below(16);
    switch (below(13)) {
      case 0: return file.resize(at);
      case 1: file[at] = static_cast<char>(random_()); return;
      case 2: file.erase(at, size); return;
      case 3: file.insert(at, choose({"\"", "\\", "{", "}", "[", "]", ",", ":", "\n", "\r", "\xFF", "null"})); return;
      case 4: file.insert(at, std::string(1 + 8 * size, '\0')); return;
      case 5: file.insert(at, file.substr(below(file.size()), 3 * size)); return;
      case 6: file = '[' + file + ']'; return;
      case 7: file += file; return;
      case 8: return widen(file);
      case 9:
        file.insert(0, choose({"\x1F\x8B\x08", "\x28\xB5\x2F\xFD", "prompt_id,reward\n", "\xFE\xFF", "PAR1", "[", "# "}));
        return;
      case 10: return replace_all(file, '\n', ',');
      case 11: return replace_all(file, '"', '\'');
      default: return replace_all(file, ' ', '\xA0');
    }
  }
  /// UTF-16, as some systems write text.
  static void widen(std::string& file) {
    std::string wide;
    for (const char c : file) (wide += c) += '\0';
    file = wide;
  }
  static void replace_all(std::string& file, char from, char to) {
    for (char& c : file)
      if (c == from) c = to;
  }

  std::mt19937_64 random_;
};

}  // namespace infalign::test
