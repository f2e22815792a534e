// SPDX-License-Identifier: Apache-2.0
/// \file
/// `--stratum` and `--estimand maj@K`.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "infalign/statistics/sign_flip.hpp"

using namespace infalign::test;

namespace {

/// Passes of one sample a prompt: 6 easy prompts with 4 passes, 4 hard ones (the integer 2) with 1.
constexpr int stratum_passes[] = {1, 1, 0, 1, 1, 0, 1, 0, 0, 0};

std::string stratum_file(const int (&passes)[10], bool csv = false) {
  std::string text = csv ? "prompt_id,reward,level\n" : "";
  for (int p = 0; p < 10; ++p) {
    const std::string id = std::to_string(p), reward = std::to_string(passes[p]), level = p < 6 ? "easy" : "2";
    text +=
        csv ? id + "," + reward + "," + level + "\n"
            : "{\"prompt_id\":" + id + ",\"reward\":" + reward + ",\"is\":{\"level\":" + (p < 6 ? "\"easy\"" : "2") + "}}\n";
  }
  return text;
}

}  // namespace

// Expected: Cochran (1977), eq. 5.1 and 5.8 without the correction for finite populations.
TEST_CASE("--stratum: each stratum with its weight, and an error without what strata differ by") {
  const work_directory work;
  work.write("p.jsonl", stratum_file(stratum_passes));
  work.write("p.csv", stratum_file(stratum_passes, true));
  const double easy = 4 / 6.0, hard = 1 / 4.0, of_easy = 6 * easy * (1 - easy) / 5 / 6, of_hard = 4 * hard * (1 - hard) / 3 / 4;
  const auto check = [&](const std::string& options, double weight) {
    const json_document found(work.infalign("win-rate --estimand pass@1 --json " + options).out);
    CHECK(found.number("prompts") == 10);
    CHECK(found.number("strata") == 2);
    CHECK(std::abs(found.number("value") - (weight * easy + (1 - weight) * hard)) <= 1e-14);
    const double variance = weight * weight * of_easy + (1 - weight) * (1 - weight) * of_hard;
    CHECK(std::abs(found.number("standard_error") - std::sqrt(variance)) <= 1e-14);
    const auto rows = found["by_stratum"].get_array().value();
    CHECK(simdjson::minify(rows.at(1)["stratum"]) == "2");
    CHECK(std::abs(double(rows.at(0)["weight"]) - weight) <= 1e-14);
    CHECK(std::abs(double(rows.at(1)["standard_error"]) - std::sqrt(of_hard)) <= 1e-14);
  };
  check("--policy p.jsonl --stratum is.level", 0.6);
  check("--policy p.csv --stratum level --stratum-weight easy=1 2=3", 0.25);
  check("--policy p.csv --stratum level --stratum-weight 2=0 --stratum-weight easy=7 none=0", 1);
  const std::string table = work.infalign("win-rate --estimand pass@1 --policy p.csv --stratum level").out;
  CHECK(table.find("\n\"easy\"         6  0.6000  0.6667  ") != std::string::npos);
}

TEST_CASE("compare by stratum: the difference of weighted means, and signs with the same weights") {
  const work_directory work;
  constexpr int other[10] = {1, 0, 0, 0, 1, 0, 0, 1, 0, 0};
  work.write("a", stratum_file(stratum_passes));
  work.write("b", stratum_file(other));
  const json_document found(
      work.infalign("compare --policy a --baseline b --estimand pass@1 --stratum is.level --stratum-weight easy=1 2=1 --json")
          .out);
  CHECK(std::abs(found.number("difference") - 0.5 * (2 / 6.0 + 0)) <= 1e-14);
  std::vector<double> weighted;
  for (int p = 0; p < 10; ++p) weighted.push_back((stratum_passes[p] - other[p]) / (p < 6 ? 12.0 : 8.0));
  CHECK(found.number("p_value") == doctest::Approx(infalign::sign_flip_p_value(weighted)).epsilon(1e-12));
  CHECK(found.number("strata") == 2);
}

TEST_CASE("strata that are not there, change, or have no weight") {
  const work_directory work;
  work.write("p", stratum_file(stratum_passes));
  const auto message = [&](const std::string& options) {
    return work.infalign("win-rate --estimand pass@1 --policy p " + options).err;
  };
  CHECK(message("--stratum level") ==
        "infalign: p:1: level is missing: {\"prompt_id\":0,\"reward\":1,\"is\":{\"level\":\"easy\"}}\n");
  CHECK(message("--stratum is.level --stratum-weight easy=1") ==
        "infalign: p: stratum 2 has no weight (--stratum-weight NAME=0 leaves it out)\n");
  CHECK(message("--stratum is.level --stratum-weight easy=1 2=1 rare=0.5") ==
        "infalign: p: stratum rare has a weight of 0.5 and no prompt\n");
  for (const char* bad : {"easy", "easy=", "easy=-1", "easy=nan", "easy=1x"})
    CHECK(message(std::string("--stratum is.level --stratum-weight ") + bad) ==
          "infalign: --stratum-weight: '" + std::string(bad) + "' must be NAME=WEIGHT with a weight of at least 0\n");
  CHECK(message("--stratum is.level --stratum-weight easy=0 2=0") ==
        "infalign: --stratum-weight: the weights sum to 0, must be positive and finite\n");
  CHECK(message("--stratum is.level --stratum-weight easy=1 easy=2") == "infalign: --stratum-weight: easy is there twice\n");
  CHECK(message("--stratum-weight easy=1") == "infalign: --stratum-weight: there is no --stratum that it would weigh\n");
  CHECK(message("--stratum prompt_id") == "infalign: --stratum: prompt_id is read as something else already\n");
  CHECK(message("--stratum is.level --cluster x") ==
        "infalign: --stratum and --cluster: prompts within a stratum must be sampled one by one\n");
  CHECK(message("--stratum is.level --interval bootstrap") ==
        "infalign: --interval bootstrap: is for prompts without strata\n");
  CHECK(message("--stratum is.level --variance-split") ==
        "infalign: --variance-split: is for prompts that are sampled one by one, without clusters and strata\n");
  work.write("q", "{\"prompt_id\":1,\"reward\":1,\"s\":1}\n{\"prompt_id\":1,\"reward\":1,\"s\":\"1\"}\n");
  CHECK(work.infalign("win-rate --estimand pass@1 --policy q --stratum s").err ==
        "infalign: q:2: prompt 1 is in stratum \"1\", and was in 1 before\n");
  // A stratum of one prompt: its error is unknown, and so is that of the mean.
  work.write("one", "{\"prompt_id\":1,\"reward\":1,\"s\":1}\n{\"prompt_id\":2,\"reward\":0,\"s\":2}\n");
  const json_document found(work.infalign("win-rate --estimand pass@1 --policy one --stratum s --json").out);
  CHECK(found["standard_error"].is_null());
  CHECK(found["confidence_interval"].is_null());
}

// By hand: of the answers a a b b c, of which a is right, the ten sets of three are aab aab, aac, abb abb, abc ×4, bbc. The vote is right
// in the first three, and by a third in four more.
TEST_CASE("maj@K: the most frequent of K answers is right") {
  const work_directory work;
  work.write("list", "{\"prompt_id\":1,\"rewards\":[1,0,0,1,0],\"answer\":[\"a\",\"b\",5,\"a\",\"b\"]}\n");
  work.write("each.jsonl",
             "{\"prompt_id\":1,\"reward\":true,\"boxed\":\"a\"}\n{\"prompt_id\":2,\"reward\":0,\"boxed\":\"a\"}\n"
             "{\"prompt_id\":1,\"reward\":0,\"boxed\":\"b\"}\n{\"prompt_id\":1,\"reward\":0,\"boxed\":\"\\u0062\"}\n"
             "{\"prompt_id\":2,\"rewards\":[0,0,null],\"boxed\":[7,7,7]}\n{\"prompt_id\":1,\"rewards\":[1,0],\"boxed\":[\"a\","
             "\"c\"]}\n"
             "{\"prompt_id\":1,\"reward\":0,\"boxed\":null}\n");
  work.write("each.csv", "boxed,prompt_id,reward\na,1,1\nb,1,0\nb,1,0\na,1,1\n5,1,0\n,1,0\n\"7\",2,0\n7,2,0\n7,2,0\n");
  const auto check = [&](const std::string& options, double expected, double missing) {
    const json_document found(work.infalign("win-rate --estimand maj@3 --json --policy " + options).out);
    CHECK(std::abs(found.number("value") - expected) <= 1e-14);
    CHECK(found.number("missing_rewards") == missing);
  };
  const double first = (3 + 4 / 3.0) / 10;
  check("list", first, 0);
  work.write("rare", "{\"prompt_id\":1,\"rewards\":[0,0,1,0,0],\"answer\":[\"a\",\"b\",5,\"a\",\"b\"]}\n");
  check("rare", 4 / 3.0 / 10, 0);
  check("each.jsonl --answer-field boxed --missing skip", first / 2, 2);
  check("each.csv --answer-field boxed --missing skip", first / 2, 1);
  CHECK(work.infalign("compare --policy list --baseline list --estimand maj@1").out.find("list        0.4000") !=
        std::string::npos);
}

TEST_CASE("answers that are missing, or of which the rewards do not say which one is right") {
  const work_directory work;
  const auto check = [&](const std::string& record, const std::string& message) {
    work.write("p", record + "\n");
    const outcome failed = work.infalign("win-rate --estimand maj@2 --policy p");
    CHECK(failed.code == 1);
    CHECK(failed.err == "infalign: p:1: " + message + "\n");
  };
  check("{\"prompt_id\":1,\"rewards\":[1,1]}",
        "answer is missing: {\"prompt_id\":1,\"rewards\":[1,1]} (--missing skip leaves it out)");
  check("{\"prompt_id\":1,\"rewards\":[1,1],\"answer\":[\"a\",null]}",
        "answer[1] is null, must be a string or an integer (--missing skip leaves it out)");
  check("{\"prompt_id\":1,\"rewards\":[1,1],\"answer\":[\"a\"]}", "answer has 1 element, but there are 2 rewards");
  check("{\"prompt_id\":1,\"rewards\":[1],\"answer\":[[1]]}", "answer[0] is [1], must be a string or an integer");
  check("{\"prompt_id\":1,\"n\":2,\"successes\":1,\"answer\":\"a\"}", "answer is read, and counts of passes have no answers");
  check("{\"prompt_id\":1,\"rewards\":[1,0],\"answer\":[\"a\",\"a\"]}",
        "prompt 1 has the answer \"a\" with rewards of 0 and of 1");
  check("{\"prompt_id\":1,\"rewards\":[1,1],\"answer\":[\"a\",1]}",
        "prompt 1 has a second right answer, 1; equal answers must be written alike");
  check("{\"prompt_id\":1,\"rewards\":[1,0.5],\"answer\":[\"a\",1]}",
        "prompt 1 has a reward of 0.5, but maj@2 takes 0 and 1 (or false and true)");
  check("{\"prompt_id\":1,\"rewards\":[1],\"answer\":[\"a\"]}",
        "prompt 1 has 1 reward, fewer than the 2 that maj@2 draws (--short skip leaves it out)");
  CHECK(work.infalign("win-rate --estimand maj@1 --policy p --answer-field reward").code == 1);
  CHECK(work.infalign("win-rate --estimand pass@1 --policy p --answer-field a").err ==
        "infalign: --answer-field: pass@1 reads no answers\n");
}
