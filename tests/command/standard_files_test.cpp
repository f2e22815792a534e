// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

const std::string one_record = "{\"prompt_id\":\"a\",\"rewards\":[1,2,3]}\n";

/// Fails with this line, and exit code 1.
void check(const work_directory& work, const std::string& command, const std::string& message) {
  CAPTURE(command);
  const outcome failed = work.infalign(command);
  CHECK(failed.code == 1);
  CHECK(failed.err == "infalign: " + message + "\n");
  CHECK(failed.out.empty());
}

}  // namespace

TEST_CASE("a closed standard output is an error, and no other file takes its place") {
  const work_directory work;
  work.write("a.jsonl", one_record);
  const std::string message = "standard output: cannot write: Bad file descriptor";
  const std::string win_rate = "win-rate --policy a.jsonl --reference a.jsonl --procedure best_of:2";
  check(work, win_rate + " --per-prompt rows.jsonl >&-", message);
  CHECK(work.read("rows.jsonl") == "{\"prompt_id\": \"a\", \"win_rate\": 0.5}\n");
  check(work, win_rate + " --json <&- >&-", message);
  check(work, "plan --procedure best_of:2 --kl 1 --transform identity --plot o.svg >&-", message);
  const std::string svg = work.read("o.svg");
  CHECK(svg.rfind("<svg ", 0) == 0);
  CHECK(svg.find("recommended") == std::string::npos);
  check(work, "calibrate --reference a.jsonl --rollouts a.jsonl >&-", message);
  check(work, "--version >&-", "standard output: cannot write");
  check(work, "plan --help > /dev/full", "standard output: cannot write");
  CHECK(work.infalign("calibrate --reference a.jsonl --rollouts a.jsonl --output out.jsonl <&- >&- 2>&-").code == 0);
  CHECK(lines_of(work.read("out.jsonl")).size() == 1);
}

TEST_CASE("where nobody hears the message, the exit code tells") {
  const work_directory work;
  for (const char* nowhere : {" 2>&-", " 2>/dev/full"}) {
    CHECK(work.infalign("win-rate --policy none --reference none --procedure best_of:2" + std::string(nowhere)).code == 1);
    CHECK(work.infalign("nonsense" + std::string(nowhere)).code == 2);
  }
}

TEST_CASE("a closed standard input is an error, and no other file takes its place") {
  const work_directory work;
  work.write("a.jsonl", one_record);
  const std::string message = "standard input: cannot read: Bad file descriptor";
  check(work, "calibrate --reference a.jsonl --rollouts - --output out.jsonl <&-", message);
  check(work, "calibrate --reference - --rollouts a.jsonl --output out.jsonl <&-", message);
  check(work, "win-rate --policy a.jsonl --reference - --procedure best_of:2 <&-", message);
  CHECK(work.names() == std::vector<std::string>{"a.jsonl"});
}
