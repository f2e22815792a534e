// SPDX-License-Identifier: Apache-2.0
#include "flat_record.hpp"

#include <doctest/doctest.h>
#include <simdjson.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

using command::flat_record;

namespace {

/// As the reader holds it: a line feed and readable bytes behind.
bool read(flat_record& record, const std::string& line, std::vector<double>& rewards) {
  static std::string buffer;
  buffer = line + '\n' + std::string(64, '\0');
  return record.read(std::string_view(buffer).substr(0, line.size()), flat_record::usual_keys{}, {"calibrated_reward"},
                     rewards);
}

bool is_plain(const std::string& line) {
  flat_record record;
  std::vector<double> rewards;
  return read(record, line, rewards);
}

}  // namespace

TEST_CASE("a plain record is read") {
  flat_record record;
  std::vector<double> rewards;
  REQUIRE(read(record,
               " {\"text\": \"a longer text, with more than eight bytes\", \"prompt_id\":\"seven\",\"n\":-1e-3,\t"
               "\"x\":null,\"y\":true,\"z\":false,\"reward\":0.30000000000000004 } \r",
               rewards));
  CHECK(record.prompt.is_text);
  CHECK(record.prompt.bytes == "seven");
  CHECK(rewards == std::vector<double>{0.30000000000000004});
  CHECK(!record.is_list);
  REQUIRE(read(record, "{\"rewards\":[1, -2.5E+1 ,0],\"prompt_id\":-12}", rewards));
  CHECK(!record.prompt.is_text);
  CHECK(record.prompt.bytes == "-12");
  CHECK(rewards == std::vector<double>{1, -25, 0});
  CHECK(record.is_list);
}

TEST_CASE("truth values are rewards, and other keys can be chosen") {
  flat_record record;
  std::vector<double> rewards;
  REQUIRE(read(record, "{\"prompt_id\":1,\"reward\":true}", rewards));
  CHECK(rewards == std::vector<double>{1});
  REQUIRE(read(record, "{\"prompt_id\":1,\"rewards\":[false, true,2]}", rewards));
  CHECK(rewards == std::vector<double>{0, 1, 2});
  const flat_record::chosen_keys keys{"\"task_id\"", "\"a.b\"", "\"a.b\""};
  const auto chosen = [&](const std::string& line) {
    const std::string padded = line + std::string(64, '\0');
    return record.read(std::string_view(padded).substr(0, line.size()), keys, {}, rewards) &&
           record.prompt.bytes == "x";  // before the text goes away
  };
  CHECK(chosen("{\"task_id\":\"x\",\"prompt_id\":true,\"reward\":null,\"a.b\":false}"));
  CHECK(rewards == std::vector<double>{0});
  CHECK(!record.is_list);
  CHECK(chosen("{\"a.b\":[0.5,true],\"task_id\":\"x\"}"));
  CHECK(rewards == std::vector<double>{0.5, 1});
  CHECK(record.is_list);
  CHECK(!chosen("{\"a.b\":1,\"task_id\":\"x\",\"a.b\":1}"));
  CHECK(!chosen("{\"prompt_id\":\"x\",\"reward\":1}"));
}

TEST_CASE("what is not plain is left to the parser") {
  CHECK(is_plain("{\"prompt_id\":1,\"reward\":1}"));
  for (const char* line : {"",
                           "{}",
                           "{\"prompt_id\":1}",
                           "{\"reward\":1}",
                           "{\"prompt_id\":1,\"reward\":1",
                           "{\"prompt_id\":1,\"reward\":1}}",
                           "{\"prompt_id\":1,\"reward\":1,}",
                           "{\"prompt_id\":\"\\u0061\",\"reward\":1}",
                           "{\"prompt_id\":\"\xC3\xA4\",\"reward\":1}",
                           "{\"prompt_id\":1,\"reward\":1,\"x\":{}}",
                           "{\"prompt_id\":1,\"reward\":1,\"x\":[]}",
                           "{\"prompt_id\":1,\"rewards\":[]}",
                           "{\"prompt_id\":1,\"reward\":1,\"reward\":1}",
                           "{\"prompt_id\":1,\"prompt_id\":1,\"reward\":1}",
                           "{\"prompt_id\":1.0,\"reward\":1}",
                           "{\"prompt_id\":1e2,\"reward\":1}",
                           "{\"prompt_id\":01,\"reward\":1}",
                           "{\"prompt_id\":-0,\"reward\":1}",
                           "{\"prompt_id\":-,\"reward\":1}",
                           "{\"prompt_id\":9999999999999999999,\"reward\":1}",
                           "{\"prompt_id\":1,\"reward\":01}",
                           "{\"prompt_id\":1,\"reward\":.5}",
                           "{\"prompt_id\":1,\"reward\":5.}",
                           "{\"prompt_id\":1,\"reward\":5.e1}",
                           "{\"prompt_id\":1,\"reward\":1e999}",
                           "{\"prompt_id\":1,\"reward\":NaN}",
                           "{\"prompt_id\":1,\"reward\":inf}",
                           "{\"prompt_id\":1,\"reward\":+1}",
                           "{\"prompt_id\":1,\"reward\":\"1\"}",
                           "{\"prompt_id\":1,\"reward\":tru}",
                           "{\"prompt_id\":1,\"reward\":null}",
                           "{\"prompt_id\":1,\"rewards\":[falsee]}",
                           "{\"prompt_id\":1,\"reward\":1,\"calibrated_reward\":1}",
                           "{\"prompt_id\":1,\"reward\":1,\"x\":nul}",
                           "{\"prompt_id\":1,\"reward\":1,\"x\":\"tab\there\"}",
                           "{\"prompt_id\":1,\"reward\":1,\"x\":\"open}"}) {
    CAPTURE(line);
    CHECK(!is_plain(line));
  }
}

TEST_CASE("whatever it is sure of, simdjson reads the same") {
  std::mt19937 generator(1);
  const std::string pieces[] = {"{",
                                "}",
                                "[",
                                "]",
                                ",",
                                ":",
                                "\"",
                                "\\",
                                " ",
                                "0",
                                "1",
                                "-",
                                "+",
                                ".",
                                "e",
                                "E5",
                                "\"reward\":",
                                "\"prompt_id\":",
                                "\"rewards\":[1,2]",
                                "null",
                                "true",
                                "\xC3\xA4",
                                "1.5",
                                "\t",
                                "\x01",
                                "9007199254740993",
                                "1e308",
                                "1e-320",
                                "\"x\":"};
  const std::string seeds[] = {"{\"prompt_id\": 12, \"reward\": -1.25, \"x\": \"abc\"}",
                               "{\"prompt_id\": \"p\", \"rewards\": [0.5, 1e3], \"y\": null}"};
  simdjson::dom::parser parser;
  int sure = 0;
  for (int round = 0; round < 300'000; ++round) {
    std::string line = seeds[generator() % 2];
    for (auto edits = generator() % 4; edits > 0; --edits) {
      const std::size_t at = generator() % (line.size() + 1);
      line.replace(at, generator() % 3, pieces[generator() % std::size(pieces)]);
    }
    flat_record record;
    std::vector<double> rewards;
    if (!read(record, line, rewards)) continue;
    ++sure;
    CAPTURE(line);
    simdjson::dom::object object;
    REQUIRE(parser.parse(line).get(object) == simdjson::SUCCESS);
    std::vector<double> expected;
    const auto number = [](const simdjson::dom::element& value) {
      return value.is_bool() ? (bool{value.get_bool()} ? 1.0 : 0.0) : double{value.get_double()};
    };
    for (const auto& [key, value] : object) {
      if (key == "reward") expected.push_back(number(value));
      if (key == "rewards")
        for (const auto& reward : value.get_array()) expected.push_back(number(reward));
      if (key == "prompt_id" && record.prompt.is_text) REQUIRE(value.get_string().value() == record.prompt.bytes);
      if (key == "prompt_id" && !record.prompt.is_text)
        REQUIRE(std::to_string(value.get_int64().value()) == record.prompt.bytes);
    }
    REQUIRE(rewards == expected);
  }
  CHECK(sure > 50'000);
}
