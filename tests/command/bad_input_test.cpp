// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

const std::string good = "{\"prompt_id\":\"a\",\"rewards\":[1,2,3]}\n";

/// Runs calibrate on these files: it has to fail with this line, this code, and no trace of its output.
void check_calibrate(const std::string& reference, const std::string& rollouts, const std::string& message,
                     const std::string& options = "", int code = 1) {
  CAPTURE(message);
  const work_directory work;
  work.write("r.jsonl", reference);
  work.write("p.jsonl", rollouts);
  const outcome failed = work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl --output out.jsonl " + options);
  CHECK(failed.err == "infalign: " + message + "\n");
  CHECK(failed.code == code);
  CHECK(failed.out.empty());
  CHECK(work.names() == std::vector<std::string>{"p.jsonl", "r.jsonl"});
}

/// A bad second line, in either file.
void check_record(const std::string& line, const std::string& message) {
  check_calibrate(good, good + line + "\n" + good, "p.jsonl:2: " + message);
  check_calibrate(good + line + "\n" + good, good, "r.jsonl:2: " + message);
}

}  // namespace

TEST_CASE("lines that are no records") {
  check_record("garbage", "not a JSON object (commas, braces or values are wrong): garbage");
  check_record("[1, 2]", "not a JSON object (it is something else): [1, 2]");
  check_record("{\"prompt_id\":\"a\",\"reward\":1,}",
               "not a JSON object (commas, braces or values are wrong): {\"prompt_id\":\"a\",\"reward\":1,}");
  check_record("{\"prompt_id\":\"a\",\"reward\":1} {\"prompt_id\":\"a\",\"reward\":1}",
               "not a JSON object (commas, braces or values are wrong): {\"prompt_id\":\"a\",\"reward\":1} "
               "{\"prompt_id\":\"a\",\"reward\":1}");
  for (const char* line :
       {"{\"prompt_id\":\"a\",\"reward\":1", "{\"prompt_id\":\"a\",\"reward\":01}", "{\"prompt_id\":\"a\",\"reward\":.5}",
        "{\"prompt_id\":\"a\",\"reward\":5.}", "{\"prompt_id\":\"a\",\"reward\":+5}", "{\"prompt_id\":\"a\",\"reward\":1e}",
        "{\"prompt_id\":\"a\",\"reward\":1,\"x\":tru}", "{\"prompt_id\":\"a\",\"reward\":1}}",
        "{\"prompt_id\":\"a\" \"reward\":1}", "{'prompt_id':'a','reward':1}", "{\"prompt_id\":\"a\",\"reward\":0x1}",
        "{\"prompt_id\":007,\"reward\":1}"}) {
    CAPTURE(line);
    const work_directory work;
    work.write("r.jsonl", good);
    work.write("p.jsonl", good + line + "\n");
    const outcome failed = work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl --output out.jsonl");
    CHECK(failed.code == 1);
    CHECK(failed.err.rfind("infalign: p.jsonl:2: not a JSON object (", 0) == 0);
    CHECK(failed.err.find(line) != std::string::npos);
    CHECK(!work.has("out.jsonl"));
  }
}

TEST_CASE("objects over several lines") {
  check_calibrate(
      good, "{\n  \"prompt_id\": \"a\",\n  \"reward\": 1\n}\n",
      "p.jsonl:1: an object that goes on in the next line; write one a line (jq -c), or all of them as an array (jq -s)");
}

TEST_CASE("records without a usable reward") {
  const std::string skip = " (--missing skip leaves it out)";
  check_record("{\"prompt_id\":\"a\"}", "reward (or rewards) is missing: {\"prompt_id\":\"a\"}" + skip);
  check_record("{\"prompt_id\":\"a\",\"reward\":\"high\"}", "reward is \"high\", must be a number");
  check_record("{\"prompt_id\":\"a\",\"reward\":null}", "reward is null, must be a number" + skip);
  check_record("{\"prompt_id\":\"a\",\"reward\":[1]}", "reward is [1], must be a number");
  check_record("{\"prompt_id\":\"a\",\"rewards\":1}", "rewards is 1, must be a list of numbers");
  check_record("{\"prompt_id\":\"a\",\"rewards\":[1,\"x\"]}", "rewards[1] is \"x\", must be a number");
  check_record("{\"prompt_id\":\"a\",\"rewards\":[]}", "rewards is [], must hold at least one number" + skip);
  check_record("{\"prompt_id\":\"a\",\"reward\":NaN}", "reward is NaN, must be a finite number" + skip);
  check_record("{\"prompt_id\":\"a\",\"reward\": -Infinity}", "reward is -Infinity, must be a finite number");
  check_record("{\"prompt_id\":\"a\",\"rewards\":[1, NaN]}", "rewards[1] is NaN, must be a finite number" + skip);
  check_record("{\"prompt_id\":\"a\",\"reward\":1,\"rewards\":[2]}", "rewards is a second one, the rewards must be there once");
  check_record("{\"prompt_id\":\"a\",\"reward\":1,\"reward\":1}", "reward is a second one, the rewards must be there once");
}

TEST_CASE("words in strings are not to blame, numbers out of range are") {
  const auto malformed = [](const std::string& line) {
    check_record(line, "not a JSON object (commas, braces or values are wrong): " + line);
  };
  malformed("{\"prompt_id\":\"a\",\"t\":\"x: Infinity\",\"reward\":1,}");
  malformed("{\"prompt_id\":\"a\",\"t\":\"\\\", NaN\",\"reward\":1,}");
  malformed("{\"prompt_id\":\"a\",\"t\":\"1e999\",\"reward\":1,}");
  malformed("{\"prompt_id\":\"a\",\"t\":18446744073709551615,\"reward\":1,}");
  malformed("{\"prompt_id\":\"a\",\"t\":-9223372036854775808,\"reward\":1,}");
  check_record("{\"prompt_id\":\"a\",\"t\":\"NaN\",\"reward\":Infinity}", "reward is Infinity, must be a finite number");
  check_record("{\"prompt_id\":\"a\",\"reward\":1e999}", "reward is 1e999, beyond the range of double precision");
  check_record("{\"prompt_id\":\"a\",\"rewards\":[1,-1e999]}", "rewards[1] is -1e999, beyond the range of double precision");
  check_record("{\"prompt_id\":-9223372036854775809,\"reward\":1}",
               "prompt_id is -9223372036854775809, beyond the range of 64-bit integers");
}

TEST_CASE("records without a usable prompt") {
  check_record("{\"reward\":1}", "prompt_id is missing: {\"reward\":1}");
  check_record("{\"prompt_id\":1.5,\"reward\":1}", "prompt_id is 1.5, must be a string or an integer");
  check_record("{\"prompt_id\":null,\"reward\":1}", "prompt_id is null, must be a string or an integer");
  check_record("{\"prompt_id\":\"a\",\"prompt_id\":\"a\",\"reward\":1}", "prompt_id is there twice");
  check_calibrate(good, good + "{\"prompt_id\":\"b\",\"reward\":1}\n", "p.jsonl:2: prompt \"b\" has no reference in r.jsonl");
  check_calibrate("{\"prompt_id\":7,\"reward\":1}\n", "{\"prompt_id\":\"7\",\"reward\":1}\n",
                  "p.jsonl:1: prompt \"7\" has no reference in r.jsonl");
}

TEST_CASE("files that are cut, empty, or calibrated already") {
  check_calibrate(good, good + "{\"prompt_id\":\"a\",\"rewa",
                  "p.jsonl:2: the file ends within a record: {\"prompt_id\":\"a\",\"rewa");
  check_calibrate(good + "{\"prompt_id\":\"a\",\"reward\":1", good,
                  "r.jsonl:2: the file ends within a record: {\"prompt_id\":\"a\",\"reward\":1");
  check_calibrate("", good, "r.jsonl: there is no record in it");
  check_calibrate("\n \n", good, "r.jsonl: there is no record in it");
  check_calibrate(good, "{\"prompt_id\":\"a\",\"reward\":1,\"standard_error\":0}\n",
                  "p.jsonl:1: standard_error is there already, and would be added a second time");
  const std::string binary = std::string("{\"prompt_id\":\"a\",\"reward\":1,\"x\":\"") + "\xFF\xFE" + "\"}\n";
  const work_directory work;
  work.write("r.jsonl", good);
  work.write("p.jsonl", binary);
  const outcome failed = work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl --output out.jsonl");
  CHECK(failed.code == 1);
  CHECK(failed.err.rfind("infalign: p.jsonl:1: not a JSON object (", 0) == 0);
}

TEST_CASE("what cannot be left out, and what JSON cannot hold") {
  check_calibrate(
      good, "{\"prompt_id\":\"a\",\"reward\":1.5}\n",
      "p.jsonl:1: reward 1.5 is none of the references of prompt \"a\" in r.jsonl, so it cannot be left out of them",
      "--leave-one-out");
  check_calibrate("{\"prompt_id\":1,\"reward\":1}\n", "{\"prompt_id\":1,\"reward\":1}\n",
                  "p.jsonl:1: prompt 1 has 1 reference in r.jsonl, leaving one out needs at least 2", "--leave-one-out");
  check_calibrate(
      "{\"prompt_id\":1,\"rewards\":[1,2]}\n", "{\"prompt_id\":1,\"reward\":3}\n{\"prompt_id\":1,\"reward\":0}\n",
      "p.jsonl:2: logarithm of the calibrated reward 0 is -inf, which JSON cannot hold; clamped:0.25:0.75:logarithm is finite",
      "--transform logarithm");
}

TEST_CASE("options that make no sense") {
  check_calibrate(good, good,
                  "--transform: 'exp': unknown transform, must be one of identity, logarithm, exponential:T, power:P, "
                  "normal_quantile, clamped:LOW:HIGH:INNER",
                  "--transform exp", 2);
  check_calibrate(good, good, "--ties: 'half': unknown tie rule, must be one of mid_rank, below, at_or_below, randomized:SEED",
                  "--ties half", 2);
  check_calibrate(good, good, "The following argument was not expected: --nonsense (see --help)", "--nonsense", 2);
  const work_directory work;
  work.write("a.jsonl", good);
  CHECK(work.infalign("").code == 2);
  CHECK(work.infalign("calibrate").code == 2);
  CHECK(work.infalign("nonsense").code == 2);
  CHECK(work.infalign("calibrate --reference - --rollouts -").err ==
        "infalign: --reference and --rollouts: only one of them can be standard input\n");
  const outcome level = work.infalign("win-rate --policy a.jsonl --reference a.jsonl --procedure best_of:2 --level 95");
  CHECK(level.code == 2);
  CHECK(level.err == "infalign: --level is 95, must be between 0 and 1\n");
  const outcome mixed =
      work.infalign("win-rate --policy a.jsonl --reference a.jsonl --procedure best_of:2 --per-prompt - --json");
  CHECK(mixed.code == 2);
  CHECK(mixed.out.empty());
  CHECK(mixed.err == "infalign: --per-prompt is -, but the report goes to standard output: name a file\n");
  CHECK(work.infalign("win-rate --policy a.jsonl --reference a.jsonl --procedure best_of:4x").err ==
        "infalign: --procedure: 'best_of:4x': N is '4x', must be a whole number; the syntax is best_of:N\n");
}

TEST_CASE("files that are not there, and places that cannot be written") {
  const work_directory work;
  work.write("a.jsonl", good);
  const std::string calibrate = "calibrate --reference a.jsonl --rollouts a.jsonl --output ";
  const auto check = [&](const std::string& arguments, const std::string& message) {
    CAPTURE(arguments);
    const outcome failed = work.infalign(arguments);
    CHECK(failed.code == 1);
    CHECK(failed.err == "infalign: " + message + "\n");
    CHECK(work.names() == std::vector<std::string>{"a.jsonl"});
  };
  check("calibrate --reference none.jsonl --rollouts a.jsonl", "none.jsonl: cannot open: No such file or directory");
  check("calibrate --reference a.jsonl --rollouts none.jsonl --output out.jsonl",
        "none.jsonl: cannot open: No such file or directory");
  check("calibrate --reference . --rollouts a.jsonl --output out.jsonl", ".: cannot read: Is a directory");
  check(calibrate + "none/out.jsonl", "none/out.jsonl: cannot write: No such file or directory");
  check(calibrate + ".", ".: cannot write: Is a directory");
  check(calibrate + "/dev/full", "/dev/full: cannot write: No space left on device");
  check(calibrate + "- > /dev/full", "standard output: cannot write: No space left on device");
  check("win-rate --policy a.jsonl --reference a.jsonl --procedure best_of:2 --json > /dev/full",
        "standard output: cannot write: No space left on device");
}

TEST_CASE("links are followed and stay, whether or not they lead to something") {
  const work_directory work;
  work.write("a.jsonl", good);
  const outcome done = work.shell(
      "mkdir d && ln -s d/second first && ln -s ../new.jsonl d/second && "
      "for i in 1 2; do \"$infalign\" calibrate --reference a.jsonl --rollouts a.jsonl --output first || exit; done; "
      "readlink first d/second; ls -A . d");
  CHECK(done.err.empty());
  CHECK(done.out == "d/second\n../new.jsonl\n.:\na.jsonl\nd\nfirst\nnew.jsonl\n\nd:\nsecond\n");
  CHECK(lines_of(work.read("new.jsonl")).size() == 1);
  const outcome circle =
      work.shell("ln -s y x && ln -s x y; exec \"$infalign\" calibrate --reference a.jsonl --rollouts a.jsonl --output x");
  CHECK(circle.code == 1);
  CHECK(circle.err == "infalign: x: cannot write: Too many levels of symbolic links\n");
}

TEST_CASE("a disk that fills up while the file is written leaves nothing behind") {
  const work_directory work;
  std::string rollouts;
  for (int i = 0; i < 20'000; ++i)
    rollouts += "{\"prompt_id\":\"a\",\"reward\":1,\"text\":\"0123456789012345678901234567890123456789\"}\n";
  work.write("r.jsonl", good);
  work.write("p.jsonl", rollouts);
  work.write("out.jsonl", "what was there");
  // A limit on the size of files stands for the disk; the signal that comes with it must not end the program.
  const outcome failed =
      work.shell("ulimit -f 512; exec \"$infalign\" calibrate --reference r.jsonl --rollouts p.jsonl --output out.jsonl");
  CHECK(failed.code == 1);
  CHECK(failed.err == "infalign: out.jsonl: cannot write: File too large\n");
  CHECK(work.names() == std::vector<std::string>{"out.jsonl", "p.jsonl", "r.jsonl"});
  CHECK(work.read("out.jsonl") == "what was there");
}

TEST_CASE("a pipe that is closed is an error, an interrupted run takes its file away") {
  const work_directory work;
  std::string rollouts;
  for (int i = 0; i < 50'000; ++i) rollouts += "{\"prompt_id\":\"a\",\"reward\":1}\n";
  work.write("r.jsonl", good);
  work.write("p.jsonl", rollouts);
  const outcome closed = work.shell("( \"$infalign\" calibrate --reference r.jsonl --rollouts p.jsonl; echo $? >&2 ) | true");
  CHECK(closed.err == "infalign: standard output: cannot write: Broken pipe\n1\n");
  const outcome interrupted = work.shell(
      "mkfifo pipe; \"$infalign\" calibrate --reference r.jsonl --rollouts pipe --output out.jsonl & pid=$!; "
      "exec 3>pipe; head -n 9 p.jsonl >&3; "
      "for i in $(seq 100); do ls -A | grep -q '^[.]out.jsonl' && break; sleep 0.05; done; "
      "ls -A | grep -c '^[.]out.jsonl'; kill -TERM $pid; wait $pid; echo $?; rm pipe");
  CHECK(interrupted.out == "1\n143\n");
  CHECK(work.names() == std::vector<std::string>{"p.jsonl", "r.jsonl"});
}

TEST_CASE("a signal that is ignored from the start stays ignored") {
  const work_directory work;
  work.write("r.jsonl", good);
  const outcome done = work.shell(
      "mkfifo pipe; (trap '' HUP; exec \"$infalign\" calibrate --reference r.jsonl --rollouts pipe --output out.jsonl) & "
      "pid=$!; "
      "exec 3>pipe; cat r.jsonl >&3; "
      "for i in $(seq 100); do ls -A | grep -q '^[.]out.jsonl' && break; sleep 0.05; done; "
      "kill -HUP $pid; sleep 0.05; exec 3>&-; wait $pid; echo $?; rm pipe");
  CHECK(done.out == "0\n");
  CHECK(work.names() == std::vector<std::string>{"out.jsonl", "r.jsonl"});
}
