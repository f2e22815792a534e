// SPDX-License-Identifier: Apache-2.0
// What can go wrong while a file is written: the file is the old one or the new one, whole, and nothing else is left.
#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

/// Files that are calibrated in some milliseconds, in several writes.
struct long_calibration : work_directory {
  std::string wanted;  ///< what `out` is in the end
  std::string command = "\"$infalign\" calibrate --reference r --rollouts p --output out";

  explicit long_calibration(int records = 3'000) {
    std::string rollouts;
    for (int i = 0; i < records; ++i)
      rollouts += "{\"prompt_id\":\"a\",\"reward\":" + std::to_string(i % 7) + ",\"text\":\"" + std::string(200, 'x') + "\"}\n";
    write("r", "{\"prompt_id\":\"a\",\"rewards\":[1,2,3]}\n");
    write("p", rollouts);
    REQUIRE(infalign("calibrate --reference r --rollouts p --output out").code == 0);
    wanted = read("out");
    REQUIRE(lines_of(wanted).size() == static_cast<std::size_t>(records));
    write("out", old);
  }
  /// `out` is whole, and there is nothing beside it but, if `killed`, a temporary file, which is removed. True if `out` is new;
  /// then the old one is put back.
  [[nodiscard]] bool renewed(bool killed = false) const {
    const std::string found = read("out");
    CHECK((found == old || found == wanted));
    auto left = names();
    if (killed && left.front().rfind(".out.", 0) == 0) {
      CHECK(shell("rm " + left.front()).code == 0);
      left.erase(left.begin());
    }
    CHECK(left == std::vector<std::string>{"out", "p", "r"});
    if (found != old) write("out", old);
    return found != old;
  }
  static constexpr const char* old = "what was there\n";
};

#ifdef INFALIGN_FAULT_POINTS
const std::string preload = "LD_PRELOAD='" INFALIGN_FAULT_POINTS "' ";

std::vector<std::string> take_log(const long_calibration& work) {
  const auto calls = lines_of(work.read("log"));
  CHECK(work.shell("rm log").code == 0);
  return calls;
}

/// The calls that make, write and rename files, in their order.
std::vector<std::string> calls_of(const long_calibration& work) {
  const outcome done = work.shell("FAULT_LOG=log " + preload + work.command);
  CHECK(done.code == 0);
  const auto calls = take_log(work);
  CHECK(work.renewed());
  return calls;
}

std::string setting(const char* name, std::size_t value) {
  return name + ("=" + std::to_string(value) + " ");
}
#endif

/// What the shell says of a program that a signal ended.
int code_of(int signal) {
  return 128 + signal;
}

}  // namespace

#ifdef INFALIGN_FAULT_POINTS
TEST_CASE("the content is on the disk before it gets the name, and the name before success") {
  const long_calibration work;
  CHECK(calls_of(work) == std::vector<std::string>{"mkstemp", "write", "write", "write", "write", "fsync", "rename", "fsync"});
}

TEST_CASE("a signal at every point of writing") {
  const long_calibration work;
  const std::size_t calls = calls_of(work).size();
#ifdef INFALIGN_TEST_GRID_MIXED  // sanitizers have handlers of their own, and start slowly
  const std::vector<int> signals{SIGTERM, SIGKILL};
#else
  const std::vector<int> signals{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGXCPU, SIGUSR1, SIGABRT, SIGSEGV, SIGKILL};
#endif
  for (const int signal : signals) {
    bool was_renewed = false;
    for (std::size_t at = 1; at <= calls; ++at)
      for (const std::size_t after : {0u, 1u}) {
        CAPTURE(signal);
        CAPTURE(at);
        CAPTURE(after);
        const outcome ended =
            work.shell("ulimit -c 0; " + setting("FAULT_AT", at) + setting("FAULT_AFTER", after) +
                       setting("FAULT_SIGNAL", static_cast<std::size_t>(signal)) + preload + work.command + "; exit $?");
        CHECK(ended.code == code_of(signal));
        const bool renewed = work.renewed(signal == SIGKILL);
        CHECK(renewed >= was_renewed);  // new from the renaming on
        was_renewed = renewed;
      }
    CHECK(was_renewed);
  }
}

TEST_CASE("an error at every point of writing is an error of the program, and leaves what was there") {
  const long_calibration work;
  const auto calls = calls_of(work);
  for (const int error : {ENOSPC, EIO, EDQUOT})
    for (std::size_t at = 1; at <= calls.size(); ++at) {
      CAPTURE(error);
      CAPTURE(at);
      const outcome failed = work.shell(setting("FAULT_AT", at) + setting("FAULT_ERROR", static_cast<std::size_t>(error)) +
                                        preload + work.command);
      CHECK(failed.code == 1);
      CHECK(failed.err.rfind("infalign: out: cannot write: ", 0) == 0);
      CHECK(lines_of(failed.err).size() == 1);
      CHECK(work.renewed() ==
            (at == calls.size()));  // the last is the directory's: whether the name is on the disk is not known
    }
}

TEST_CASE("a write that is interrupted, or would block, is tried again") {
  const long_calibration work;
  for (const int error : {EINTR, EAGAIN}) {
    const outcome done =
        work.shell("FAULT_AT=3 " + setting("FAULT_ERROR", static_cast<std::size_t>(error)) + preload + work.command);
    CHECK(done.code == 0);
    CHECK(work.renewed());
  }
}

TEST_CASE("a file that cannot be replaced is overwritten once all is ready") {
  const long_calibration work;
  const std::string closed = "TMPDIR=. FAULT_CLOSED=1 " + preload;
  CHECK(work.shell("FAULT_LOG=log " + closed + work.command).code == 0);
  const auto calls = take_log(work);
  CHECK(work.renewed());
  // Four writes to a file without a name, four beyond the old content, which is on the disk then, and one over it.
  const std::vector<std::string> wanted{"mkstemp", "mkstemp", "unlink", "write", "write", "write",     "write", "write",
                                        "write",   "write",   "write",  "fsync", "write", "ftruncate", "fsync"};
  REQUIRE(calls == wanted);
  for (std::size_t at = 1; at <= calls.size(); ++at) {
    CAPTURE(at);
    const std::string here = setting("FAULT_AT", at) + closed;
    CHECK(work.shell("FAULT_SIGNAL=15 " + here + work.command + "; exit $?").code == code_of(SIGTERM));
    CHECK(work.renewed() == (at > 7));                   // from the first write to the wanted file on, the signal waits
    if (calls[at - 1] == "unlink" || at > 12) continue;  // a disk that is full has been found by then
    const outcome failed = work.shell(setting("FAULT_ERROR", ENOSPC) + here + work.command);
    CHECK(failed.code == 1);
    CHECK(failed.err == "infalign: out: cannot write: No space left on device\n");
    CHECK(!work.renewed());
  }
  const std::string mounted = "FAULT_AT=7 " + setting("FAULT_ERROR", EBUSY);
  CHECK(work.shell(mounted + preload + work.command).code == 0);  // the renaming is refused
  CHECK(work.renewed());
}
#endif

TEST_CASE("signals at any time") {
  const long_calibration work(10'000);
  for (const int signal : {SIGINT, SIGTERM, SIGKILL})
    for (const char* delay : {"0", "0.005", "0.01", "0.015", "0.02", "0.03", "0.05", "0.1"}) {
      CAPTURE(signal);
      CAPTURE(delay);
      // A shell that is not interactive lets its children ignore SIGINT; env gives it back its effect.
      const outcome ended = work.shell("env --default-signal=INT " + work.command + " & pid=$!; sleep " + delay + "; kill -" +
                                       std::to_string(signal) + " $pid; wait $pid 2>/dev/null; echo $?");
      const bool renewed = work.renewed(signal == SIGKILL);
      CHECK((ended.out == "0\n" || ended.out == std::to_string(code_of(signal)) + "\n"));
      CHECK((ended.out != "0\n" || renewed));
    }
}

TEST_CASE("many writers of the same output: whoever reads it finds one of them whole") {
  const long_calibration work;
  const std::string loop = " & writers=\"$writers $!\"; ";
  const outcome done = work.shell(
      "writers=; for i in 1 2 3 4; do " + work.command + loop + work.command + " --ties below" + loop +
      "done; "
      "while kill -0 $writers 2>/dev/null; do cksum < out; done > seen; for w in $writers; do wait $w || echo failed; done; " +
      work.command + "; cksum < out > may; " + work.command +
      " --ties below; cksum < out >> may; echo 'what was there' | cksum >> may; "
      "sort -u seen | grep -vxFf may; rm seen may");
  CHECK(done.err.empty());
  CHECK(done.out.empty());
  CHECK(lines_of(work.read("out")).size() == lines_of(work.wanted).size());
  CHECK(work.names() == std::vector<std::string>{"out", "p", "r"});
}

TEST_CASE("a pipe whose reader goes away is an error, by whatever name") {
  const long_calibration work;
  const std::string calibrate = "\"$infalign\" calibrate --reference r --rollouts p --output ";
  for (const char* name : {"-", "/dev/stdout", "pipe"}) {
    CAPTURE(name);
    const std::string reader = name == std::string("pipe") ? "head -c 10 pipe" : "head -c 10";
    const outcome closed =
        work.shell("mkfifo pipe; ( " + calibrate + name + "; echo $? >&2 ) | " + reader + " >/dev/null; wait; rm pipe");
    const std::string shown = name == std::string("-") ? "standard output" : name;
    CHECK(closed.err == "infalign: " + shown + ": cannot write: Broken pipe\n1\n");
  }
  CHECK(!work.renewed());
}

TEST_CASE("a file system that is full") {
  const long_calibration work;
  const std::string inside = "mkdir d && mount -t tmpfs -o size=256k none d && cd d && cp ../out . && ";
  if (work.shell("unshare -m sh -c 'mkdir d && mount -t tmpfs none d'; code=$?; rmdir d; exit $code").code != 0) {
    MESSAGE("skipped: a file system of its own needs the right to mount one");
    return;
  }
  const outcome failed =
      work.shell("export infalign; unshare -m sh -c '" + inside +
                 "\"$infalign\" calibrate --reference ../r --rollouts ../p --output out; echo $?; ls -A; cat out'; rmdir d");
  CHECK(failed.err == "infalign: out: cannot write: No space left on device\n");
  CHECK(failed.out == "1\nout\n" + std::string(work.old));
  CHECK(!work.renewed());
}
