// SPDX-License-Identifier: Apache-2.0
/// \file
/// `--estimand`: expected rewards and pass@k without a reference policy.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

/// One prompt a line, ten samples each, of which as many pass as the position in `prompts` says.
std::string ten_samples(const std::vector<int>& prompts) {
  std::string text;
  int id = 0;
  for (std::size_t passes = 0; passes < prompts.size(); ++passes)
    for (int i = 0; i < prompts[passes]; ++i)
      text += "{\"prompt_id\": " + std::to_string(id++) + ", \"n\": 10, \"successes\": " + std::to_string(passes) + "}\n";
  return text;
}

struct published {
  const char* estimand;
  double value, error;
};

}  // namespace

// The passes of ten samples of 442 problems each, by how many problems have 0, 1 … 10 of them: LiveCodeBench
// (livecodebench.github.io, performances_testgen.json). Expected: means and standard errors of the fractions
// 1 - binom(10 - c, k)/binom(10, k).
TEST_CASE("pass@k of published counts, to all digits") {
  const work_directory work;
  work.write("claude-2.jsonl", ten_samples({287, 7, 1, 1, 0, 2, 1, 1, 3, 1, 138}));
  work.write("dscoder.jsonl", ten_samples({122, 51, 44, 26, 28, 32, 31, 21, 25, 29, 33}));
  const auto check = [&](const std::string& name, const std::vector<published>& all) {
    for (const published& expected : all) {
      const json_document found(work.infalign("win-rate --policy " + name + " --json --estimand " + expected.estimand).out);
      CHECK(std::string(found["estimand"].get_string().value()) == expected.estimand);
      CHECK(found.number("prompts") == 442);
      CHECK(std::abs(found.number("value") - expected.value) <= 1e-14);
      CHECK(std::abs(found.number("standard_error") - expected.error) <= 1e-14);
    }
  };
  check("claude-2.jsonl", {{"pass@1", 0.32760180995475113, 0.02205833878054971},
                           {"pass@5", 0.3420509229332759, 0.02236124072398386},
                           {"pass@10", 0.3506787330316742, 0.022722977234537325}});
  check("dscoder.jsonl", {{"pass@1", 0.36493212669683256, 0.01635931835031535},
                          {"pass@5", 0.6374703727644904, 0.020135482036336222},
                          {"pass@10", 0.7239819004524887, 0.021286945115670707}});
  const outcome table = work.infalign("win-rate --policy dscoder.jsonl --estimand pass@5");
  CHECK(table.out ==
        "procedure  prompts  pass@5    s.e.    95 % interval\n"
        "best_of:5      442  0.6375  0.0201  0.5968 … 0.6758\n");
  const json_document difference(
      work.infalign("compare --policy dscoder.jsonl --baseline claude-2.jsonl --estimand pass@5 --json").out);
  CHECK(std::abs(difference.number("difference") - (0.6374703727644904 - 0.3420509229332759)) <= 1e-14);
  CHECK(std::abs(double(difference["policy"]["value"]) - 0.6374703727644904) <= 1e-14);
  CHECK(difference.number("p_value") <= 1e-5);
}

// NVIDIA/garak 2090: five, five, four, two and three generations; pass@5 of the prompts that have five.
TEST_CASE("pass@k of prompts with too few samples") {
  const work_directory work;
  work.write("p.jsonl",
             "{\"prompt_id\": 0, \"rewards\": [true, false, false, false, false]}\n"
             "{\"prompt_id\": 1, \"rewards\": [1, 0, 0, 0, 0]}\n{\"prompt_id\": 2, \"rewards\": [1, 0, 0, 0]}\n"
             "{\"prompt_id\": 3, \"rewards\": [1, 0]}\n{\"prompt_id\": 4, \"rewards\": [0, 0, 0]}\n");
  const outcome failed = work.infalign("win-rate --policy p.jsonl --estimand pass@5");
  CHECK(failed.code == 1);
  CHECK(failed.err ==
        "infalign: p.jsonl:3: prompt 2 has 4 rewards, fewer than the 5 that best_of:5 draws (--short skip leaves it out)\n");
  const json_document found(work.infalign("win-rate --policy p.jsonl --estimand pass@5 --short skip --json").out);
  CHECK(found.number("prompts") == 2);
  CHECK(found.number("value") == 1);
  CHECK(found.number("short_prompts") == 3);
  const json_document two(work.infalign("win-rate --policy p.jsonl --estimand pass@2 --json").out);
  CHECK(std::abs(two.number("value") - (0.4 + 0.4 + 0.5 + 1 + 0) / 5) <= 1e-15);
}

TEST_CASE("the expected reward of what is served") {
  const work_directory work;
  work.write("a.jsonl",
             "{\"prompt_id\":1,\"rewards\":[0.1,0.4,0.4,0.9]}\n{\"prompt_id\":2,\"rewards\":[-100,-300,-200,-400]}\n");
  work.write("b.jsonl", "{\"prompt_id\":2,\"rewards\":[-250,-250]}\n{\"prompt_id\":1,\"rewards\":[0.5,0.5]}\n");
  const std::string best = "win-rate --policy a.jsonl --estimand expected-reward --procedure best_of:2";
  const json_document found(work.infalign(best + " --json --per-prompt rows.jsonl").out);
  // Of two of -100 … -400: -100 three times of six, -200 twice, -300 once.
  const double second = -(3 * 100 + 2 * 200 + 300) / 6.0;
  CHECK(std::abs(found.number("value") - (0.65 + second) / 2) <= 1e-13);
  CHECK(std::abs(found.number("standard_error") - (0.65 - second) / 2) <= 1e-13);
  const auto rows = lines_of(work.read("rows.jsonl"));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].rfind("{\"prompt_id\": 1, \"value\": 0.65", 0) == 0);
  CHECK(work.infalign(best).out.rfind("procedure  prompts  expected reward", 0) == 0);
  const json_document difference(
      work.infalign("compare --policy a.jsonl --baseline b.jsonl --estimand expected-reward --procedure worst_of:2 --json")
          .out);
  const double worst = -(3 * 400 + 2 * 300 + 200) / 6.0;
  CHECK(std::abs(difference.number("difference") - ((0.25 - 0.5) + (worst + 250)) / 2) <= 1e-13);
}

TEST_CASE("decimals follow the standard error where the quantity has no range") {
  const work_directory work;
  work.write("small.jsonl",
             "{\"prompt_id\":1,\"reward\":0.0000012}\n{\"prompt_id\":2,\"reward\":0.0000014}\n{\"prompt_id\":3,\"reward\":0."
             "0000016}\n");
  CHECK(work.infalign("win-rate --policy small.jsonl --estimand expected-reward --procedure standard")
            .out.find(" 0.000001400  0.000000115  0.000000903 … 0.000001897\n") != std::string::npos);
}

TEST_CASE("options of an estimand that make no sense together") {
  const work_directory work;
  work.write("a.jsonl", "{\"prompt_id\":1,\"rewards\":[0,0.5]}\n");
  const auto check = [&](const std::string& options, const std::string& message, int code = 2) {
    const outcome failed = work.infalign("win-rate --policy a.jsonl " + options);
    CHECK(failed.code == code);
    CHECK(failed.out.empty());
    CHECK(failed.err == "infalign: " + message + "\n");
  };
  check("--procedure standard", "--reference is required (see --help)");
  check("--reference a.jsonl", "--procedure is required (see --help)");
  check("--estimand expected-reward", "--procedure is required (see --help)");
  check("--estimand pass@1 --reference a.jsonl", "--reference: pass@1 has no reference policy");
  check("--estimand expected-reward --procedure standard --reference-procedure standard",
        "--reference-procedure: expected-reward has no reference policy");
  check("--estimand pass@1 --procedure best_of:1", "--procedure: pass@1 says what is run itself");
  for (const char* k : {"", "0", "-1", "1.5", "x", "99999999999999999999"})
    check(std::string("--estimand pass@") + k,
          std::string("--estimand: 'pass@") + k + "' must be pass@K (or cons@K, maj@K) with a whole number K of at least 1");
  check("--estimand median",
        "--estimand: 'median' must be win-rate, expected-reward, expected-transform, pass@K, cons@K or maj@K");
  check("--estimand pass@1", "a.jsonl:1: prompt 1 has a reward of 0.5, but pass@1 takes 0 and 1 (or false and true)", 1);
}

TEST_CASE("cons@k: more than half of k samples pass") {
  const work_directory work;
  work.write("p", "{\"prompt_id\": 1, \"n\": 4, \"successes\": 2}\n{\"prompt_id\": 2, \"n\": 5, \"successes\": 5}\n");
  const json_document found(work.infalign("win-rate --policy p --estimand cons@3 --json").out);
  CHECK(std::abs(found.number("value") - 0.75) <= 1e-14);  // 2 of the 4 subsets of three, and all
  CHECK(work.infalign("win-rate --policy p --estimand cons@3").out.find("3 samples        2  0.7500") != std::string::npos);
}

TEST_CASE("intervals by bootstrap, and those that hold at every moment") {
  const work_directory work;
  std::string text;
  for (int p = 0; p < 60; ++p)
    text += "{\"prompt_id\": " + std::to_string(p) + ", \"n\": 5, \"successes\": " + std::to_string(p % 6) + ", \"c\": 1}\n";
  work.write("p", text);
  const auto width = [&](const std::string& kind, double& low) {
    const json_document found(work.infalign("win-rate --policy p --estimand pass@1 --json --interval " + kind).out);
    low = found["confidence_interval"].get_array().value().at(0).get_double().value();
    return found["confidence_interval"].get_array().value().at(1).get_double().value() - low;
  };
  double low[3];
  const double student = width("student", low[0]), bootstrap = width("bootstrap", low[1]), anytime = width("anytime", low[2]);
  CHECK(std::abs(bootstrap / student - 1) <= 0.1);
  CHECK(anytime > 1.3 * student);
  for (const double x : low) CHECK(x < 0.5);
  CHECK(work.infalign("win-rate --policy p --estimand pass@1 --interval anytime --cluster c").err ==
        "infalign: --interval anytime: is for prompts that are sampled one by one, not for clusters\n");
  CHECK(work.infalign("win-rate --policy p --estimand expected-reward --procedure standard --interval anytime").err ==
        "infalign: --interval anytime: is for quantities with a range, such as win rates and passes\n");
}
