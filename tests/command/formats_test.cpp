// SPDX-License-Identifier: Apache-2.0
/// \file
/// The same records as JSON lines, as an array, as CSV, compressed: the same numbers. And what is wrong in each.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

constexpr const char* references = "{\"prompt_id\":\"a\",\"rewards\":[0,1,2,3]}\n{\"prompt_id\":7,\"rewards\":[0,1,2,3]}\n";

/// A zstd frame whose blocks are not compressed, by the format's description (RFC 8878).
std::string zstd_frame(const std::string& text) {
  const auto little_endian = [](std::size_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
    return out;
  };
  constexpr std::size_t largest = 1 << 17;
  std::string frame = std::string("\x28\xb5\x2f\xfd\xA0") + little_endian(text.size(), 4);
  for (std::size_t at = 0; at == 0 || at < text.size(); at += largest) {
    const std::string part = text.substr(at, largest);
    frame += little_endian(part.size() << 3 | (at + largest >= text.size() ? 1 : 0), 3) + part;
  }
  return frame;
}

struct records {
  std::string lines, array, pretty, csv;
  records() {
    std::mt19937 generator(1);
    array = "[";
    pretty = " \n[ ";
    csv = "text,\"prompt_id\",reward\r\n";
    for (int i = 0; i < 3000; ++i) {
      const bool text_id = generator() % 2 == 0;
      const std::string reward = std::to_string(static_cast<int>(generator() % 5)) + (generator() % 2 == 0 ? ".5" : "");
      // Quotes, brackets and commas that mean nothing, and a line feed.
      const std::string json = generator() % 3 == 0 ? "[1,{\\\"x\\\":\\\\}]\\n,ä" : "plain", plain = "[1,{\"x\":\\}]\n,ä";
      const std::string id = text_id ? "\"a\"" : "7";
      const std::string record = "{\"text\":\"" + json + "\",\"prompt_id\":" + id + ",\"reward\":" + reward + "}";
      lines += record + "\n";
      array += (i > 0 ? "," : "") + record;
      pretty += (i > 0 ? " ,\r\n" : "") + std::string("{\n  \"text\" : \"") + json + "\",\n  \"prompt_id\": " + id +
                ",\n  \"reward\" :\t" + reward + "\n}";
      std::string field = json == "plain" ? json : plain;
      if (field == plain) {
        for (std::size_t at = 0; (at = field.find('"', at)) != std::string::npos; at += 2) field.insert(at, 1, '"');
        field = '"' + field + '"';
      }
      csv += field + "," + (generator() % 2 == 0 ? id : text_id ? "a" : "\"7\"") + "," + reward + (i % 2 == 0 ? "\r\n" : "\n");
    }
    array += "]";
    pretty += "\n]\n\n";
  }
};

struct work_with_references : work_directory {
  work_with_references() { write("r.jsonl", references); }
  [[nodiscard]] std::string error(const std::string& text, const std::string& options = "") const {
    write("p", text);
    const outcome failed = infalign("calibrate --reference r.jsonl --rollouts p --output out " + options);
    CHECK(failed.code == 1);
    CHECK(!has("out"));
    return failed.err;
  }
  /// Without references.
  [[nodiscard]] std::string read_error(const std::string& text, const std::string& options = "") const {
    write("p", text);
    return infalign("win-rate --policy p --reference p --procedure standard " + options).err;
  }
  [[nodiscard]] std::string calibrated(const std::string& text, const std::string& options = "") const {
    write("p", text);
    const outcome done = infalign("calibrate --reference r.jsonl --rollouts p " + options);
    CHECK(done.err.empty());
    return done.out;
  }
};

/// `,"calibrated_reward":…` of every record, without what else is there.
std::vector<std::string> added(const std::string& output) {
  std::vector<std::string> found;
  for (std::size_t at = 0; (at = output.find(",\"calibrated_reward\"", at)) != std::string::npos; ++at)
    found.push_back(output.substr(at, output.find('}', at) - at));
  return found;
}

}  // namespace

TEST_CASE("JSON lines, arrays and CSV with the same records give the same numbers, in the format that they came in") {
  const records same;
  const work_with_references work;
  const std::string lines = work.calibrated(same.lines), array = work.calibrated(same.array),
                    pretty = work.calibrated(same.pretty);
  const auto expected = added(lines);
  REQUIRE(expected.size() == 3000);
  CHECK(added(array) == expected);
  CHECK(json_document(array).size() == 3000);
  CHECK(json_document(pretty).size() == 3000);
  // Of the pretty records the line feed before the brace comes before what is added.
  const auto of_pretty = added(pretty);
  REQUIRE(of_pretty.size() == 3000);
  CHECK(of_pretty == expected);
  const std::string csv = work.calibrated(same.csv);
  CHECK(csv.rfind("text,\"prompt_id\",reward,calibrated_reward,transformed_reward,standard_error\r\n", 0) == 0);
  std::string rows;  // the input with what was added to the objects, names taken out
  std::size_t at = same.csv.find('\n') + 1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::size_t end = at;
    for (bool quoted = false; same.csv[end] != '\n' || quoted; ++end) quoted ^= same.csv[end] == '"';
    const bool carriage_return = same.csv[end - 1] == '\r';
    rows += same.csv.substr(at, end - at - (carriage_return ? 1 : 0));
    std::string numbers = expected[i];
    for (const char* name : {"\"calibrated_reward\":", "\"transformed_reward\":", "\"standard_error\":"})
      numbers.erase(numbers.find(name), std::string(name).size());
    rows += numbers + (carriage_return ? "\r\n" : "\n");
    at = end + 1;
  }
  CHECK((csv.substr(csv.find('\n') + 1) == rows));
  for (const std::string& policy : {same.lines, same.array, same.pretty, same.csv}) {
    work.write("p", policy);
    work.write("q", same.lines);
    CHECK(work.infalign("win-rate --policy p --reference q --procedure best_of:3 --json").out ==
          work.infalign("win-rate --policy q --reference q --procedure best_of:3 --json").out);
  }
}

TEST_CASE("pieces of any size through a pipe, and a byte order mark") {
  const records same;
  const work_with_references work;
  const auto expected = added(work.calibrated(same.lines));
  for (const std::string& text : {same.lines, same.array, same.pretty, same.csv}) {
    work.write("p", "\xEF\xBB\xBF" + text);
    const outcome piped = work.shell(
        "dd if=p bs=1 count=999 2>&- | \"$infalign\" calibrate --reference r.jsonl --rollouts - 2>&1; "
        "dd if=p bs=61 2>&- | \"$infalign\" calibrate --reference r.jsonl --rollouts - --output out");
    CHECK(piped.code == 0);
    work.write("p", text);
    CHECK(work.infalign("calibrate --reference r.jsonl --rollouts p").out == work.read("out"));
  }
}

#ifdef INFALIGN_COMMAND_ZLIB
TEST_CASE("gzip: one member or several, what is cut and what is damaged") {
  const records same;
  const work_with_references work;
  const std::string expected = work.calibrated(same.lines);
  const outcome done = work.shell(
      "gzip -c p > whole; (head -c 100000 p | gzip -c; tail -c +100001 p | gzip -c; gzip -c < /dev/null) > parts; "
      "head -c 3000 whole > cut; (head -c -8 whole; printf checksum) > damaged; (cat whole; echo more) > "
      "longer; "
      "for f in whole parts; do \"$infalign\" calibrate --reference r.jsonl --rollouts - < $f; done; "
      "for f in cut damaged longer; do \"$infalign\" calibrate --reference r.jsonl --rollouts $f > /dev/null; done");
  CHECK((done.out == expected + expected));
  const auto messages = lines_of(done.err);
  REQUIRE(messages.size() == 3);
  CHECK(messages[0] == "infalign: cut: the file ends within its compressed data");
  CHECK(messages[1] == "infalign: damaged: the gzip data is damaged (incorrect data check)");
  CHECK(messages[2] == "infalign: longer: the gzip data is damaged (incorrect header check)");
  CHECK(work.shell(
                "gzip -c r.jsonl > r; gzip -c < /dev/null > none; \"$infalign\" win-rate --procedure standard --policy r.jsonl "
                "--reference r; \"$infalign\" win-rate --procedure standard --policy r --reference none")
            .err == "infalign: none: there is no record in it\n");
}
#endif

#ifdef INFALIGN_COMMAND_ZSTD
TEST_CASE("zstd: one frame or several, what is cut and what is damaged") {
  const records same;
  const work_with_references work;
  const std::string expected = work.calibrated(same.lines);
  CHECK((work.calibrated(zstd_frame(same.lines)) == expected));
  CHECK((work.calibrated(zstd_frame(same.lines.substr(0, 1000)) + zstd_frame("") + zstd_frame(same.lines.substr(1000))) ==
         expected));
  CHECK(work.error(zstd_frame(same.lines).substr(0, 5000)) == "infalign: p: the file ends within its compressed data\n");
  CHECK(work.error(zstd_frame(same.lines) + "more")
            .rfind("infalign: p: the zstd data is damaged or needs too much memory (", 0) == 0);
}
#endif

TEST_CASE("formats that are not read say what to do") {
  const work_with_references work;
  const auto says = [&](const std::string& beginning, const char* what) {
    const std::string error = work.error(beginning + std::string(100, 'x'));
    CAPTURE(error);
    CHECK(error.find(what) != std::string::npos);
    CHECK(lines_of(error).size() == 1);
  };
  says("PAR1", "p: this is Parquet, which is not read here; python3 -c \"import polars; polars.read_parquet('IN.parquet')");
  says("ARROW1", "this is Arrow");
  says("\xFD\x37zXZ", "xz -dc FILE | infalign");
  says("BZh9", "bzip2 -dc FILE | infalign");
  says("PK\x03\x04", "unzip -p FILE | infalign");
  says("\xFF\xFE", "iconv -f UTF-16 -t UTF-8 FILE | infalign");
#ifndef INFALIGN_COMMAND_ZLIB
  says("\x1f\x8b", "this is gzip, and the program was built without zlib; gzip -dc FILE | infalign");
#endif
#ifndef INFALIGN_COMMAND_ZSTD
  says("\x28\xb5\x2f\xfd", "this is zstd, and the program was built without libzstd; zstd -dc FILE | infalign");
#endif
}

TEST_CASE("arrays: what is between their elements") {
  const work_with_references work;
  const std::string record = "{\"prompt_id\":7,\"reward\":1}", expected = work.calibrated(record);
  CHECK(work.calibrated("[" + record + "]") == "[\n" + expected.substr(0, expected.size() - 1) + "\n]\n");
  CHECK(work.calibrated("[{\"x\":[\"]}\\\\\"],\"prompt_id\":7,\"reward\":1}]").find("\"calibrated_reward\":0.375") !=
        std::string::npos);
  CHECK(work.error("[" + record) == "infalign: p:1: the file ends within an element of its array: " + record + "\n");
  CHECK(work.error("[" + record + ",") == "infalign: p:1: the file ends within an element of its array: \n");
  CHECK(work.error("[\n\n{\"prompt_id\":7,\"rew") ==
        "infalign: p:3: the file ends within an element of its array: {\"prompt_id\":7,\"rew\n");
  CHECK(work.error("[" + record + "\n}]") == "infalign: p:2: elements of the array are separated by commas, here is: }]\n");
  CHECK(work.error("[" + record + "\n" + record + "]") ==
        "infalign: p:1: not a JSON object (commas, braces or values are wrong): " + record + "\\x0a" + record + "\n");
  CHECK(work.error("[" + record + "\n,\n,]") == "infalign: p:3: an element of the array is missing\n");
  CHECK(work.error("[" + record + ",]") == "infalign: p:1: an element of the array is missing\n");
  CHECK(work.error("[}") == "infalign: p:1: an element of the array is missing\n");
  CHECK(work.error("[" + record + "]\n[" + record + "]") == "infalign: p:2: something follows the array: [" + record + "]\n");
  CHECK(work.error("[\n1, 2]") == "infalign: p:2: not a JSON object (it is something else): 1\n");
  CHECK(work.error("[\n{\n\"prompt_id\":7,\"reward\":\n\"x\"}]") == "infalign: p:2: reward is \"x\", must be a number\n");
  CHECK(work.error("[{\"prompt_id\":7,\"reward\":1]}]").find("infalign: p:1: not a JSON object (") == 0);
  CHECK(work.read_error(record, "--format json") == "infalign: p:1: an array begins with [, here is: " + record + "\n");
  CHECK(work.read_error("[" + record + "]", "--format jsonl") ==
        "infalign: p:1: not a JSON object (it is something else): [" + record + "]\n");
}

TEST_CASE("CSV: columns by name, and what is written in them") {
  const work_with_references work;
  const auto u = [&](const std::string& row, const std::string& options = "") {
    const std::string output = work.calibrated("prompt_id,reward\n" + row, options), line = lines_of(output).back();
    return line.substr(line.rfind(row, 0) == 0 ? row.size() : 0, line.find(',', row.size() + 1) - row.size());
  };
  for (const char* two : {"7,2", "\"7\",2.0", "a,\"2\"", "a, 2e0 ", "a,+2", "a,20E-1"}) CHECK(u(two) == ",0.625");
  for (const char* one : {"7,1", "a,true", "a,True", "a,TRUE"}) CHECK(u(one) == ",0.375");
  for (const char* zero : {"a,0", "a,-0.0", "a,False", "a,1e-400"}) CHECK(u(zero) == ",0.125");
  work.write("s", "score,x,id\r\n\r\n2,,a\r\n");
  CHECK(work.infalign("calibrate --reference s --rollouts s --prompt-field id --reward-field score").out ==
        "score,x,id,calibrated_reward,transformed_reward,standard_error\r\n2,,a,0.5,0.5,0.3535533905932738\r\n");
  work.write("p", "prompt_id,reward\na,\n7,1\na,NaN\n");
  const outcome skipped = work.infalign("calibrate --reference r.jsonl --rollouts p --missing skip");
  CHECK(skipped.err == "infalign: p: 2 missing rewards, calibrated as null\n");
  CHECK(lines_of(skipped.out)[1] == "a,,,,");
  CHECK(lines_of(skipped.out)[3] == "a,NaN,,,");
  work.write("p", "successes,n,prompt_id\n3,4,a\n");
  CHECK(json_document(work.infalign("win-rate --policy p --reference r.jsonl --procedure standard --json").out)
            .number("win_rate") == (0.25 * 0.125 + 0.75 * 0.375));
}

TEST_CASE("CSV: what is wrong") {
  const work_with_references work;
  const std::string header = "prompt_id,reward\n";
  CHECK(work.error("id,score\na,1\n") ==
        "infalign: p:1: this is read as CSV, and the header has no column prompt_id: id,score\n");
  CHECK(work.error("prompt_id,score\na,1\n") ==
        "infalign: p:1: this is read as CSV, and the header has no column reward: prompt_id,score\n");
  CHECK(work.error("prompt_id,reward,reward\na,1,1\n") == "infalign: p:1: the header has the column reward twice\n");
  CHECK(work.error("prompt_id,reward,standard_error\na,1,1\n") ==
        "infalign: p:1: standard_error is there already, and would be added a second time\n");
  CHECK(work.error(header + "a,1\na\n") == "infalign: p:3: the row has 1 field, the header 2: a\n");
  CHECK(work.error(header + "a,1,2\n") == "infalign: p:2: the row has 3 fields, the header 2: a,1,2\n");
  CHECK(work.error(header + ",1\n") == "infalign: p:2: prompt_id is empty: ,1\n");
  CHECK(work.error(header + "a,\n") == "infalign: p:2: reward is '', must be a finite number (--missing skip leaves it out)\n");
  for (const char* wrong : {"high", "inf", "-inf", "1e999", "0x1", "1 2", "--1", "+-1", "1,"}) {
    CAPTURE(wrong);
    CHECK(work.error(header + "a,\"" + wrong + "\"\n") ==
          "infalign: p:2: reward is '" + std::string(wrong) + "', must be a finite number\n");
  }
  CHECK(work.read_error(header + "\"a\nb\",1\n\"a\"b,1\n") == "infalign: p:4: a field goes on behind its quotes: b,1\n");
  CHECK(work.error(header + "a\"b,1\",1\n") == "infalign: p:2: a quote is within a field that is not in quotes: a\"b\n");
  CHECK(work.error(header + "a,1\n\"a,1\na,1\n") == "infalign: p:3: the file ends within quotes: \"a,1\\x0aa,1\\x0a\n");
  CHECK(work.error("n,successes,prompt_id\n5,6,a\n") == "infalign: p:2: successes is 6, must be an integer from 0 to 5\n");
}

#ifndef INFALIGN_TEST_SANITIZED  // sanitizers reserve more address space than any limit
TEST_CASE("an array is not held in memory") {
  const work_with_references work;
  std::string text = "[";
  for (int i = 0; i < 300'000; ++i)
    text += (i > 0 ? ",\n" : "") + ("{\"prompt_id\":7,\"reward\":" + std::to_string(i % 4)) + ",\"text\":\"" +
            std::string(150, 'x') + "\"}";
  text += "]";
  work.write("p", text);  // 56 MB
  const outcome done =
      work.shell("ulimit -v 50000; exec \"$infalign\" calibrate --reference r.jsonl --rollouts p --output out");
  CHECK(done.err.empty());
  CHECK(done.code == 0);
}
#endif
