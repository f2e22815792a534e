// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign hedge`: true rewards of what a proxy selects.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

/// Proxies 1, 2, 3 with true rewards 0, 1, 0.5. Best-of-2 serves 2 in one of three pairs and 3 in two.
const std::string three = "{\"prompt_id\":1,\"p\":[1,2,3],\"s\":{\"t\":[0,1,0.5]}}\n";

}  // namespace

TEST_CASE("the true reward of best-of-N by proxy, from lists and from single records") {
  const work_directory work;
  std::string text;
  for (int id = 1; id <= 4; ++id) text += "{\"prompt_id\":" + std::to_string(id) + ",\"p\":[1,2,3],\"s\":{\"t\":[0,1,0.5]}}\n";
  work.write("lists", text);
  text.clear();
  for (int id = 1; id <= 4; ++id)
    for (int i = 0; i < 3; ++i)
      text += "{\"prompt_id\":" + std::to_string(id) + ",\"p\":" + std::to_string(i + 1) + ",\"s\":{\"t\":" +
              std::string(i == 0   ? "0"
                          : i == 1 ? "1"
                                   : "0.5") +
              "}}\n";
  work.write("records", text);
  const std::string out = work.infalign("hedge lists --proxy-field p --true-field s.t").out;
  CHECK(out == work.infalign("hedge records --proxy-field p --true-field s.t").out);
  // Best-of-2 serves 1, ½ and ½; best-of-3 always ½; one sample is worth ½. Where nothing varies, nothing else can be best.
  const json_document found(work.infalign("hedge lists --proxy-field p --true-field s.t --json").out);
  CHECK(found.number("prompts") == 4);
  CHECK(out.find("best_of              N = 2          2 … 2       0.6667  0.0000  0.6667 … 0.6667\n") != std::string::npos);
  CHECK(out.find("standard") != std::string::npos);
  CHECK(out.find("best_of:3") != std::string::npos);
}

TEST_CASE("a win rate needs one sample more, and leaves pairs with a missing reward out") {
  const work_directory work;
  work.write("f", three + "{\"prompt_id\":2,\"p\":[1,2,null],\"s\":{\"t\":[1,0,1]}}\n");
  const outcome failed = work.infalign("hedge f --proxy-field p --true-field s.t --value win-rate --most 3 --missing skip");
  CHECK(failed.code == 1);
  const json_document found(
      work.infalign("hedge f --proxy-field p --true-field s.t --value win-rate --most 1 --missing skip --json").out);
  CHECK(found.number("missing_samples") == 1);
  CHECK(found.number("prompts") == 2);
  CHECK(failed.err == "infalign: f: prompt 2 has 2 samples, fewer than the 4 that are needed (--short skip leaves it out)\n");
  const outcome none = work.infalign("hedge f --proxy-field p --true-field s.t");
  CHECK(none.code == 1);
  CHECK(none.err.find("f:2: p[2] is null") != std::string::npos);
}

TEST_CASE("--short skip leaves out what is too short for the default as well") {
  const work_directory work;
  // Prompt 1 has no sample with both rewards, prompt 2 one, prompts 3 and 4 three.
  work.write("f",
             "{\"prompt_id\":1,\"p\":[1,2],\"t\":[null,null]}\n{\"prompt_id\":2,\"p\":[1],\"t\":[1]}\n"
             "{\"prompt_id\":3,\"p\":[1,2,3],\"t\":[0,1,0.5]}\n{\"prompt_id\":4,\"p\":[1,2,3],\"t\":[0,1,0.5]}\n");
  const std::string hedge = "hedge f --proxy-field p --true-field t --missing skip --json ";
  const auto short_prompts = [&](const std::string& options) {
    const json_document found(work.infalign(hedge + "--short skip " + options).out);
    CHECK(found.number("prompts") + found.number("short_prompts") == 4);
    return found.number("short_prompts");
  };
  CHECK(short_prompts("") == 1);                  // best_of:1 needs a sample
  CHECK(short_prompts("--value win-rate") == 2);  // and an opponent
  CHECK(short_prompts("--most 2") == 2);
  CHECK(short_prompts("--soft 3") == 2);
  CHECK(work.infalign(hedge + "--short skip --most 4").err == "infalign: f: no prompt has 4 samples\n");
  const outcome failed = work.infalign(hedge);
  CHECK(failed.code == 1);
  CHECK(failed.err == "infalign: f: prompt 1 has 0 samples, fewer than the 1 that are needed (--short skip leaves it out)\n");
}

TEST_CASE("soft best-of-N, clusters, and options that make no sense") {
  const work_directory work;
  std::string text;
  for (int id = 0; id < 6; ++id)
    text += "{\"prompt_id\":" + std::to_string(id) + ",\"p\":[1,2,3,4],\"t\":[0,1,0.5," + std::to_string(id) +
            "],\"c\":" + std::to_string(id / 2) + "}\n";
  work.write("f", text);
  const std::string out = work.infalign("hedge f --proxy-field p --true-field t --soft 3 --cluster c").out;
  CHECK(out.find("soft_best_of:3") != std::string::npos);
  CHECK(out.find("errors by 3 clusters of c") != std::string::npos);
  const auto fails = [&](const std::string& options, const std::string& message) {
    const outcome failed = work.infalign("hedge " + options);
    CHECK(failed.code == 2);
    CHECK(failed.err == "infalign: " + message + "\n");
  };
  fails("- --proxy-field p --true-field t", "the file is read twice, so it cannot be standard input");
  for (const char* option : {"--most", "--soft"})
    for (const char* number : {"0", "-2"})
      fails(std::string("f --proxy-field p --true-field t ") + option + " " + number,
            std::string(option) + " is " + number + ", must be at least 1");
  fails("f --proxy-field prompt_id --true-field t", "--prompt-field and --reward-field are both prompt_id");
  work.write("uneven", "{\"prompt_id\":1,\"p\":[1,2],\"t\":[1]}\n");
  CHECK(work.infalign("hedge uneven --proxy-field p --true-field t").err ==
        "infalign: uneven:1: p has 2 values, but t has 1\n");
}
