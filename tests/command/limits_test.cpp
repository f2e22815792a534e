// SPDX-License-Identifier: Apache-2.0
// The table of limits in README.md, line by line.
#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

const std::string small_prompt = "{\"prompt_id\":\"a\",\"rewards\":[1,2,3]}\n";

/// Files `a.jsonl`, which is small_prompt, and `p.jsonl`.
struct limited : work_directory {
  limited() { write("a.jsonl", small_prompt); }
  void rollouts(const std::string& text) const { write("p.jsonl", text); }
  [[nodiscard]] outcome calibrate(const std::string& options = "") const {
    return infalign("calibrate --reference a.jsonl --rollouts p.jsonl --output out " + options);
  }
  void check(const std::string& arguments, const std::string& message) const {
    CAPTURE(arguments);
    const outcome failed = infalign(arguments);
    CHECK(failed.code != 0);
    CHECK(failed.err.find(message) != std::string::npos);
  }
};

std::string nested(std::size_t depth) {
  return "{\"prompt_id\":\"a\",\"reward\":1,\"x\":" + std::string(depth, '[') + std::string(depth, ']') + "}\n";
}

#ifndef INFALIGN_TEST_GRID_MIXED  // sanitizers have their own memory
/// Runs with so much address space beside 20 MB, which is what a run on small files needs and some.
outcome within(const work_directory& work, double bytes, const std::string& arguments, const std::string& input = "") {
  const auto kilobytes = static_cast<long long>((bytes + 20e6) / 1024);
  return work.shell("ulimit -v " + std::to_string(kilobytes) + "; " + input + "\"$infalign\" " + arguments);
}
void check_within(const work_directory& work, double bytes, const std::string& arguments, const std::string& input = "") {
  CAPTURE(arguments);
  const outcome done = within(work, bytes, arguments, input);
  CHECK(done.err.empty());
  CHECK(done.code == 0);
}
#endif

}  // namespace

TEST_CASE("limit: a record has at most 256 MiB") {
  const limited work;
  const outcome failed = work.shell(
      "(printf '{\"prompt_id\":\"'; head -c 270000000 /dev/zero | tr '\\0' x) | "
      "\"$infalign\" calibrate --reference a.jsonl --rollouts -");
  CHECK(failed.code == 1);
  CHECK(failed.err == "infalign: standard input:1: a record is longer than 256 MiB\n");
}

TEST_CASE("limit: objects and lists are nested to 1,023 levels") {
  const limited work;
  work.rollouts(nested(1022));
  CHECK(work.calibrate().code == 0);
  work.rollouts(nested(1023) + nested(1024));
  const outcome failed = work.calibrate();
  CHECK(failed.code == 1);
  CHECK(failed.err.find("too deep") != std::string::npos);
}

TEST_CASE("limit: ids are 64-bit integers or strings of any length") {
  const limited work;
  const std::string id = "\"" + std::string(5'000'000, 'x') + "\"";
  for (const std::string& each : {id, std::string("18446744073709551615"), std::string("-9223372036854775808")}) {
    work.write("a.jsonl", "{\"prompt_id\":" + each + ",\"reward\":1}\n");
    work.rollouts("{\"prompt_id\":" + each + ",\"reward\":1}\n");
    CHECK(work.calibrate().code == 0);
  }
  for (const char* each : {"18446744073709551616", "-9223372036854775809"}) {
    work.rollouts("{\"prompt_id\":" + std::string(each) + ",\"reward\":1}\n");
    CHECK(work.calibrate().err.find("beyond the range of 64-bit integers") != std::string::npos);
  }
}

TEST_CASE("limit: rewards are doubles, of any number of digits") {
  const limited work;
  work.rollouts("{\"prompt_id\":\"a\",\"rewards\":[1.7976931348623157e308,-1.7976931348623157e308,4.9e-324,0." +
                std::string(100'000, '1') + "]}\n");
  CHECK(work.calibrate().code == 0);
  work.rollouts("{\"prompt_id\":\"a\",\"reward\":1.8e308}\n");
  CHECK(work.calibrate().err.find("beyond the range of double precision") != std::string::npos);
}

TEST_CASE("limit: counts are at most a million a record") {
  const limited work;
  const std::string win_rate = "win-rate --reference a.jsonl --procedure standard --policy ";
  work.write("n.jsonl", "{\"prompt_id\":\"a\",\"n\":1000001,\"successes\":1}\n");
  work.check(win_rate + "n.jsonl", "n is 1000001, must be an integer from 1 to 1000000");
}

TEST_CASE("limit: procedures draw at most 2^30 samples, and have at most 256 outcomes") {
  const limited work;
  const std::string plan = "plan --beta 1 --transform identity --procedure ";
  CHECK(work.infalign(plan + "best_of:1073741824").code == 0);
  work.check(plan + "best_of:1073741825", "the most are 1073741824");
  CHECK(work.infalign(plan + "best_of_poisson:1e9").code == 0);
  work.check(plan + "best_of_poisson:1.1e9", "must be at most 1e9");
  work.check(plan + "top_of:1:1099511627777", "must be in 1 … 2^40");
  std::string outcomes;
  for (int n = 1; n <= 257; ++n) outcomes += (n > 1 ? "," : "") + std::to_string(n) + "=0.00390625";
  work.check(plan + "best_of_random:" + outcomes, "the most are 256");
  CHECK(work.infalign(plan + "best_of_random:" + outcomes.substr(0, outcomes.rfind(','))).code == 0);
}

TEST_CASE("limit: exponents of transforms are at most 700") {
  const limited work;
  work.rollouts(small_prompt);
  CHECK(work.calibrate("--transform exponential:700").code == 0);
  CHECK(work.calibrate("--transform exponential:701").err.find("must be in [-700, 700]") != std::string::npos);
}

#ifndef INFALIGN_TEST_GRID_MIXED
TEST_CASE("limit: memory does not grow with rollouts") {
  const limited work;  // 56 MB of them
  check_within(work, 20e6, "calibrate --reference a.jsonl --rollouts - --output /dev/null",
               "yes '{\"prompt_id\":\"a\",\"reward\":1}' | head -n 2000000 | ");
}

TEST_CASE("limit: memory a reward and a prompt") {
  const limited work;
  constexpr double rewards = 4e6, prompts = 2e5;
  std::string counts, ids;
  for (int i = 0; i < 4; ++i) counts += "{\"prompt_id\":" + std::to_string(i) + ",\"n\":1000000,\"successes\":5}\n";
  for (int i = 0; i < 200'000; ++i) ids += "{\"prompt_id\":\"prompt-" + std::to_string(1'000'000 + i) + "\",\"reward\":1}\n";
  work.write("counts", counts);
  work.write("ids", ids);
  work.write("one", "{\"prompt_id\":1,\"reward\":1}\n");
  const std::string calibrate = "calibrate --reference counts --rollouts one --output /dev/null";
  check_within(work, 17 * rewards, calibrate);
  const outcome failed = within(work, 7 * rewards, calibrate);  // they are 8 bytes each
  CHECK(failed.code == 1);
  CHECK(failed.err == "infalign: out of memory\n");
  check_within(work, 90 * prompts, "calibrate --reference ids --rollouts ids --output /dev/null");
  check_within(work, 30 * 2 * rewards, "win-rate --policy counts --reference counts --procedure standard --json");
  check_within(work, 30 * 3 * rewards,
               "compare --policy counts --baseline counts --reference counts --procedure standard --json");
}

TEST_CASE("limit: memory of a long record") {
  const limited work;
  constexpr double size = 16e6;
  const std::string text(16'000'000, 'y');
  work.rollouts("{\"prompt_id\":\"a\",\"reward\":1,\"x\":\"" + text + "\"}\n");
  check_within(work, 6 * size, "calibrate --reference a.jsonl --rollouts p.jsonl --output /dev/null");
  work.rollouts("{\"prompt_id\":\"a\",\"reward\":1,\"x\":\"\\n" + text + "\"}\n");
  check_within(work, 25 * size, "calibrate --reference a.jsonl --rollouts p.jsonl --output /dev/null");
}
#endif
