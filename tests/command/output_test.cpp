// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

const std::string records = "{\"prompt_id\":\"a\",\"reward\":1}\n";
const std::string calibrated =
    "{\"prompt_id\":\"a\",\"reward\":1,\"calibrated_reward\":0.5,\"transformed_reward\":0.5,"
    "\"standard_error\":0.3535533905932738}\n";

/// A directory with `a.jsonl`; `$calibrate` in a command is the program up to the name of the output, which is then `calibrated`.
struct calibration : work_directory {
  calibration() { write("a.jsonl", records); }
  [[nodiscard]] outcome run(const std::string& command) const {
    return shell("calibrate=\"$infalign calibrate --reference a.jsonl --rollouts a.jsonl --output\"; " + command);
  }
  void check(const std::string& command, const std::string& out = "") const {
    CAPTURE(command);
    const outcome done = run(command);
    CHECK(done.code == 0);
    CHECK(done.err.empty());
    CHECK(done.out == out);
  }
  void check_fails(const std::string& command, const std::string& message) const {
    CAPTURE(command);
    const outcome failed = run(command);
    CHECK(failed.code == 1);
    CHECK(failed.err == "infalign: " + message + "\n");
    CHECK(failed.out.empty());
  }
};

}  // namespace

TEST_CASE("an open descriptor is written to where its offset is, whatever it is called") {
  const calibration work;
  for (const char* name : {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"}) {
    CAPTURE(name);
    work.write("log", "before\n");
    work.check("$calibrate " + std::string(name) + " >> log");
    CHECK(work.read("log") == "before\n" + calibrated);
    work.check("(echo first; $calibrate " + std::string(name) + "; echo last) > log");
    CHECK(work.read("log") == "first\n" + calibrated + "last\n");
    work.check("$calibrate " + std::string(name) + " | cat", calibrated);
  }
  work.write("log", "before\n");
  work.check("$calibrate /dev/fd/3 3>>log && ln -s /dev/fd/3 link && $calibrate link 3>>log && test -L link");
  CHECK(work.read("log") == "before\n" + calibrated + calibrated);
  CHECK(work.names() == std::vector<std::string>{"a.jsonl", "link", "log"});
}

TEST_CASE("a descriptor that is closed, or for reading, is an error before anything is read") {
  const calibration work;
  work.check_fails("$calibrate /dev/fd/9 9>&-", "/dev/fd/9: cannot write: Bad file descriptor");
  work.check_fails("$calibrate /dev/stdout >&-", "/dev/stdout: cannot write: Bad file descriptor");
  work.check_fails("$calibrate /dev/fd/3 3<a.jsonl", "/dev/fd/3: cannot write: Bad file descriptor");
  CHECK(work.read("a.jsonl") == records);
}

TEST_CASE("pipes and devices are written to and stay") {
  const calibration work;
  work.check("mkfifo pipe; cat pipe > got & $calibrate pipe; wait; test -p pipe && cat got", calibrated);
  work.check("$calibrate /dev/null; test -c /dev/null");
}

TEST_CASE("names as long as the file system takes") {
  const calibration work;
  std::string letters(251, 'n'), accents;
  for (int i = 0; i < 127; ++i) accents += "\xC3\xA9";
  for (const std::string& name : {std::string(250, 'n'), std::string(255, 'n'), accents, "./" + letters, std::string("n")}) {
    work.check("$calibrate " + name);
    CHECK(work.read(name) == calibrated);
    CHECK(work.shell("rm " + name).code == 0);
  }
  CHECK(work.names() == std::vector<std::string>{"a.jsonl"});
  const std::string deep = "$(printf 'd%.0s' $(seq 200))/";  // paths near 4095 bytes, the most that the system takes
  work.check("d=" + deep + "; p=; for i in $(seq 20); do p=$p$d; done; mkdir -p $p; " +
             "for n in 60 70 73 74; do f=$p$(printf 'n%.0s' $(seq $n)); $calibrate $f && rm $f || exit 3; done");
}

TEST_CASE("a file that can be written in a directory that cannot") {
  const calibration work;
  // The superuser may write to any directory, so the program is run by somebody else, who needs it in a place that he may read.
  const std::string somebody = getuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";
  const std::string closed =
      "cp \"$infalign\" program; chmod 755 . program; mkdir d; echo old >d/out; chmod 666 d/out; chmod 555 d; ";
  const std::string run = somebody + "./program calibrate --reference a.jsonl --rollouts a.jsonl --output ";
  work.check(closed + "ln -s d/out link; " + run + "link && ls -A d && cat d/out", "out\n" + calibrated);
  work.write("d/out", std::string(100'000, 'x'));  // shorter than before
  work.check(run + "d/out && cat d/out && stat -c %a d/out", calibrated + "666\n");
  work.check_fails(run + "d/new", "d/new: cannot write: Permission denied");
  work.check_fails("chmod 444 d/out; " + run + "d/out", "d/out: cannot write: Permission denied");
  CHECK(work.read("d/out") == calibrated);
  CHECK(work.shell("chmod 755 d; rm -r d").code == 0);
}

TEST_CASE("the file that is replaced keeps its owner") {
  const calibration work;
  if (getuid() != 0) return;  // nobody else may give a file away
  work.check("echo old >out; chown 65534:65533 out; chmod 604 out; $calibrate out; stat -c '%u %g %a' out",
             "65534 65533 604\n");
  work.check("umask 027; $calibrate new; stat -c '%u %a' new", "0 640\n");
}

TEST_CASE("rollouts without a record are an error, as references are") {
  const calibration work;
  work.write("out", "old");
  for (const char* empty : {"", "\n \n"}) {
    work.write("none.jsonl", empty);
    work.check_fails("\"$infalign\" calibrate --reference a.jsonl --rollouts none.jsonl --output out",
                     "none.jsonl: there is no record in it");
    CHECK(work.read("out") == "old");
  }
  work.check_fails("\"$infalign\" calibrate --reference a.jsonl --rollouts - < /dev/null",
                   "standard input: there is no record in it");
}
