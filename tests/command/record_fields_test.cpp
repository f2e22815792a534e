// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where records hold what: names of fields, paths into objects, truth values, numbers of any size, counts of passes.
#include <doctest/doctest.h>

#include <string>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

const std::string four_references = "{\"prompt_id\":\"a\",\"rewards\":[0,1,2,3]}\n";

/// The calibrated rewards of one record, as text; the message if it fails.
std::string calibrated_text(const std::string& record, const std::string& options = "") {
  const work_directory work;
  work.write("r.jsonl", four_references);
  // The references go by the usual names: the options would name other fields there.
  const bool renamed = options.find("-field") != std::string::npos;
  work.write("p.jsonl", record + "\n");
  const std::string reference = renamed ? "p.jsonl" : "r.jsonl";
  const outcome done = work.infalign("calibrate --reference " + reference + " --rollouts p.jsonl " + options);
  if (done.code != 0) return done.err;
  CHECK(done.out.substr(0, record.size() - 1) == record.substr(0, record.size() - 1));
  const std::string key = ",\"calibrated_reward\":";
  const std::size_t begin = done.out.find(key) + key.size();
  return done.out.substr(begin, done.out.find(",\"transformed_reward\"") - begin);
}

double win_rate(const work_directory& work, const std::string& options) {
  const outcome done = work.infalign("win-rate --json " + options);
  CHECK(done.err.empty());
  REQUIRE(done.code == 0);
  return json_document(done.out).number("win_rate");
}

/// The share of k-subsets of n tries, c of them passes, that hold a pass.
double pass_at(int k, int n, int c) {
  double all_fail = 1;
  for (int i = 0; i < k; ++i) all_fail *= static_cast<double>(n - c - i) / (n - i);
  return 1 - all_fail;
}

}  // namespace

TEST_CASE("fields by other names, in nested objects, or with a dot in their name") {
  const std::string names = "--prompt-field task_id --reward-field ";
  CHECK(calibrated_text("{\"task_id\":\"HumanEval/0\",\"completion_id\":0,\"passed\":true}", names + "passed") == "0.5");
  CHECK(calibrated_text("{\"task_id\":1,\"passed\":[0,1]}", names + "passed") == "[0.25,0.75]");
  CHECK(calibrated_text("{\"task_id\":1,\"scores\":{\"x\":[],\"total\":{\"mean\":[3,4]}}}", names + "scores.total.mean") ==
        "[0.25,0.75]");
  CHECK(calibrated_text("{\"task_id\":1,\"scores.total\":[3,4],\"prompt_id\":[],\"reward\":null}", names + "scores.total") ==
        "[0.25,0.75]");
  CHECK(calibrated_text("{\"task_id\":1,\"scores\":{\"total.mean\":2}}", names + "scores.total.mean") == "0.5");
  CHECK(calibrated_text("{\"m\":{\"id\":\"q\"},\"g\\u00f6te\":2}", "--prompt-field m.id --reward-field göte") == "0.5");
  CHECK(calibrated_text("{\"m\":{\"id\":\"q\"},\"rewards\":[3,4]}", "--prompt-field m.id") == "[0.25,0.75]");
}

TEST_CASE("fields that are not where they should be") {
  const std::string names = "--prompt-field task_id --reward-field s.total";
  const auto message = [&](const std::string& record) { return calibrated_text(record, names); };
  CHECK(message("{\"task_id\":1,\"s\":3}") ==
        "infalign: p.jsonl:1: s.total is missing: {\"task_id\":1,\"s\":3} (--missing skip leaves it out)\n");
  CHECK(message("{\"prompt_id\":1,\"s\":{\"total\":1}}") ==
        "infalign: p.jsonl:1: task_id is missing: {\"prompt_id\":1,\"s\":{\"total\":1}}\n");
  CHECK(message("{\"task_id\":1,\"s\":{\"total\":1},\"s.total\":1}") ==
        "infalign: p.jsonl:1: s.total is a second one, the rewards must be there once\n");
  CHECK(message("{\"task_id\":1,\"s\":{\"total\":[1,\"x\"]}}") ==
        "infalign: p.jsonl:1: s.total[1] is \"x\", must be a number\n");
  CHECK(message("{\"task_id\":{\"x\":NaN},\"s\":{\"total\":1}}").find("task_id is {") != std::string::npos);
  CHECK(calibrated_text(four_references, "--prompt-field x --reward-field x") ==
        "infalign: --prompt-field and --reward-field are both x\n");
  // What is read may also be what would be added, by either way of reading.
  for (const char* record : {"{\"prompt_id\":1,\"standard_error\":1}", "{\"prompt_id\":1,\"standard_error\":1,\"x\":{}}"})
    CHECK(calibrated_text(record, "--reward-field standard_error") ==
          "infalign: p.jsonl:1: standard_error is there already, and would be added a second time\n");
}

TEST_CASE("true is 1 and false is 0") {
  CHECK(calibrated_text("{\"prompt_id\":\"a\",\"reward\":true}") == "0.375");
  CHECK(calibrated_text("{\"prompt_id\":\"a\",\"reward\":false,\"x\":{}}") == "0.125");
  CHECK(calibrated_text("{\"prompt_id\":\"a\",\"rewards\":[true,false],\"x\":{}}") == "[0.375,0.125]");
}

TEST_CASE("numbers are doubles, and what is not read may be what it likes") {
  CHECK(calibrated_text("{\"prompt_id\":\"a\",\"reward\":99999999999999999999999}") == "1");
  CHECK(calibrated_text("{\"prompt_id\":\"a\",\"rewards\":[-99999999999999999999999,18446744073709551616,1]}") ==
        "[0,1,0.375]");
  CHECK(calibrated_text("{\"prompt_id\":\"a\",\"reward\":1e-400}") == "0.125");
  for (const char* value : {"1e400", "-1e400", "123456789012345678901234567890", "NaN", "-Infinity", "[1e400,{\"y\":NaN}]"}) {
    CAPTURE(value);
    CHECK(calibrated_text("{\"t\":\"\\\"NaN 1e400\",\"x\":" + std::string(value) + ",\"prompt_id\":\"a\",\"reward\":1}") ==
          "0.375");
  }
  // What stands beside such a number must be right all the same.
  CHECK(calibrated_text("{\"x\":1e400,\"y\":01,\"prompt_id\":\"a\",\"reward\":1}").find("not a JSON object") !=
        std::string::npos);
  for (const char* wrong : {"1.e400", "01e400", "+1e400", "1e400.", "Nan"})
    CHECK(calibrated_text("{\"x\":" + std::string(wrong) + ",\"prompt_id\":\"a\",\"reward\":1}").find("not a JSON object") !=
          std::string::npos);
  CHECK(calibrated_text("{\"prompt_id\":\"\\u00011e5\",\"reward\":1}").find(" has no reference in r.jsonl") !=
        std::string::npos);
  CHECK(calibrated_text("{\"x\":1e400,\"prompt_id\":1e400,\"reward\":1}") ==
        "infalign: p.jsonl:1: prompt_id is 1e400, must be a string or an integer\n");
  CHECK(calibrated_text("{\"x\":1e400,\"prompt_id\":18446744073709551615,\"reward\":1}") ==
        "infalign: p.jsonl:1: prompt 18446744073709551615 has no reference in r.jsonl\n");
}

TEST_CASE("counts of passes are rewards of 0 and 1") {
  const work_directory work;
  work.write("lists.jsonl", "{\"prompt_id\":1,\"rewards\":[0,1,0,0,1,0,1]}\n{\"prompt_id\":2,\"rewards\":[0,0,0,0]}\n");
  work.write("counts.jsonl", "{\"prompt_id\":1,\"n\":7,\"successes\":3}\n{\"successes\":0,\"prompt_id\":2,\"n\":4}\n");
  work.write("half.jsonl", "{\"prompt_id\":1,\"reward\":0.5}\n{\"prompt_id\":2,\"reward\":0.5}\n");
  for (const int k : {1, 2, 4}) {
    const std::string options =
        "--reference half.jsonl --reference-procedure standard --procedure best_of:" + std::to_string(k);
    CHECK(win_rate(work, options + " --policy counts.jsonl") == doctest::Approx(pass_at(k, 7, 3) / 2).epsilon(1e-14));
    CHECK(win_rate(work, options + " --policy counts.jsonl") == win_rate(work, options + " --policy lists.jsonl"));
  }
  // The rounding of a sum of a million terms: 1e6 · 2⁻⁵³.
  work.write("million.jsonl", "{\"prompt_id\":1,\"n\":1000000,\"successes\":250000}\n");
  CHECK(win_rate(work, "--policy million.jsonl --reference half.jsonl --procedure standard") ==
        doctest::Approx(0.25).epsilon(1e-10));
  CHECK(work.infalign("calibrate --reference counts.jsonl --rollouts lists.jsonl").code == 0);
  CHECK(work.infalign("calibrate --reference counts.jsonl --rollouts counts.jsonl").err ==
        "infalign: counts.jsonl:1: n and successes count rewards, and calibrate needs the reward of each rollout: a list in "
        "rewards\n");
}

TEST_CASE("counts that make no sense, and other fields by their names") {
  const auto message = [](const std::string& fields) {
    const work_directory work;
    work.write("p.jsonl", "{\"prompt_id\":1," + fields + "}\n");
    return work.infalign("win-rate --policy p.jsonl --reference p.jsonl --procedure standard").err;
  };
  CHECK(message("\"n\":10,\"successes\":11") == "infalign: p.jsonl:1: successes is 11, must be an integer from 0 to 10\n");
  CHECK(message("\"n\":10,\"successes\":-1") == "infalign: p.jsonl:1: successes is -1, must be an integer from 0 to 10\n");
  CHECK(message("\"n\":10,\"successes\":1.5") == "infalign: p.jsonl:1: successes is 1.5, must be an integer from 0 to 10\n");
  CHECK(message("\"n\":0,\"successes\":0") == "infalign: p.jsonl:1: n is 0, must be an integer from 1 to 1000000\n");
  CHECK(message("\"n\":1000001,\"successes\":0") ==
        "infalign: p.jsonl:1: n is 1000001, must be an integer from 1 to 1000000\n");
  CHECK(message("\"n\":1e999,\"successes\":0") == "infalign: p.jsonl:1: n is 1e999, must be an integer from 1 to 1000000\n");
  CHECK(message("\"successes\":3").find("p.jsonl:1: successes is there, but n is missing: ") != std::string::npos);
  CHECK(message("\"n\":3").find("p.jsonl:1: reward (or rewards) is missing: ") != std::string::npos);
  CHECK(message("\"n\":\"x\",\"successes\":{},\"reward\":1").empty());
}

TEST_CASE("many bytes of rewards do not come from a few bytes of counts") {
  const work_directory work;
  std::string text;
  for (int i = 0; i < 70; ++i) text += "{\"prompt_id\":" + std::to_string(i) + ",\"n\":1000000,\"successes\":1}\n";
  work.write("p.jsonl", text);
  const outcome failed = work.infalign("win-rate --policy p.jsonl --reference p.jsonl --procedure standard");
  CHECK(failed.code == 1);
  CHECK(failed.err ==
        "infalign: p.jsonl:68: the counts up to here stand for 68000000 rewards, at most 67108864 a file can be held\n");
}
