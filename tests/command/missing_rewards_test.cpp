// SPDX-License-Identifier: Apache-2.0
/// \file
/// Rewards that are missing, and prompts with too few of them: an error, unless the user says that they are to be left out.
#include <doctest/doctest.h>

#include <string>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

const std::string policy =
    "{\"prompt_id\":1,\"rewards\":[0.2,null,0.7]}\n"
    "{\"prompt_id\":2,\"reward\":null}\n"
    "{\"prompt_id\":2,\"rewards\":[0.9,0.1]}\n"
    "{\"prompt_id\":3,\"rewards\":[NaN,0.5]}\n"
    "{\"prompt_id\":4,\"text\":\"none\"}\n"
    "{\"prompt_id\":5,\"rewards\":[]}\n"
    "{\"prompt_id\":1,\"rewards\":null}\n";
const std::string present =
    "{\"prompt_id\":1,\"rewards\":[0.2,0.7]}\n"
    "{\"prompt_id\":2,\"rewards\":[0.9,0.1]}\n";
const std::string reference =
    "{\"prompt_id\":1,\"rewards\":[0.1,0.5,0.6]}\n{\"prompt_id\":2,\"rewards\":[0.3,0.4]}\n{\"prompt_id\":3,\"rewards\":[0,1]}"
    "\n"
    "{\"prompt_id\":4,\"rewards\":[0,1]}\n{\"prompt_id\":5,\"rewards\":[0,1]}\n{\"prompt_id\":6,\"reward\":0}\n";

struct files {
  work_directory work;
  files() {
    work.write("p.jsonl", policy);
    work.write("q.jsonl", present);
    work.write("r.jsonl", reference);
  }
};

}  // namespace

TEST_CASE("without a word, missing rewards and short prompts are errors") {
  const files all;
  const outcome missing = all.work.infalign("win-rate --policy p.jsonl --reference r.jsonl --procedure best_of:2");
  CHECK(missing.code == 1);
  CHECK(missing.err == "infalign: p.jsonl:1: rewards[1] is null, must be a number (--missing skip leaves it out)\n");
  const outcome few = all.work.infalign("win-rate --policy p.jsonl --reference r.jsonl --procedure best_of:2 --missing skip");
  CHECK(few.code == 1);
  CHECK(few.err ==
        "infalign: p.jsonl:4: prompt 3 has 1 reward, fewer than the 2 that best_of:2 draws (--short skip leaves it out)\n");
}

TEST_CASE("what is left out changes nothing else, and is counted") {
  const files all;
  const std::string skip = " --missing skip --short skip ", pair = " --reference r.jsonl --procedure best_of:2 ";
  const auto json = [&](const std::string& arguments) { return all.work.infalign(arguments + " --json").out; };
  const json_document found(json("win-rate --policy p.jsonl" + pair + skip)),
      expected(json("win-rate --policy q.jsonl" + pair));
  CHECK(found.number("prompts") == 2);
  CHECK(found.number("win_rate") == expected.number("win_rate"));
  CHECK(found.number("standard_error") == expected.number("standard_error"));
  CHECK(found.number("missing_rewards") == 6);
  CHECK(found.number("short_prompts") == 3);
  CHECK(expected.number("missing_rewards") == 0);
  CHECK(expected.number("short_prompts") == 0);
  const std::string told = "left out: 6 missing rewards, 3 prompts with too few rewards\n";
  CHECK(all.work.infalign("win-rate --policy p.jsonl" + pair + skip).out.find(told) != std::string::npos);

  const json_document pairs(json("compare --policy p.jsonl --baseline q.jsonl" + pair + skip));
  CHECK(pairs.number("prompts") == 2);
  CHECK(double(pairs["policy"]["win_rate"]) == expected.number("win_rate"));
  CHECK(pairs.number("missing_rewards") == 6);

  const std::string predict = "evaluate --transform identity --beta 1 --procedure best_of:2 --reference ";
  const json_document own(json(predict + "p.jsonl" + skip)), same(json(predict + "q.jsonl"));
  CHECK(own.number("short_prompts") == 3);
  CHECK(simdjson::minify(own["rows"]) == simdjson::minify(same["rows"]));
}

TEST_CASE("a prompt that is short on one side is short on both") {
  const work_directory work;
  work.write("p.jsonl", "{\"prompt_id\":1,\"rewards\":[1,2]}\n{\"prompt_id\":2,\"rewards\":[1,2]}\n");
  work.write("r.jsonl",
             "{\"prompt_id\":1,\"rewards\":[0,0]}\n{\"prompt_id\":2,\"rewards\":[9]}\n{\"prompt_id\":3,\"rewards\":[9]}\n");
  const std::string both = "win-rate --policy p.jsonl --reference r.jsonl --short skip --json --procedure ";
  const json_document found(work.infalign(both + "best_of:2").out);
  CHECK(found.number("win_rate") == 1);
  CHECK(found.number("prompts") == 1);
  CHECK(found.number("short_prompts") == 1);  // prompt 3 is nobody's
  CHECK(work.infalign(both + "best_of:3").err ==
        "infalign: p.jsonl: no prompt is left, every one has too few rewards in it or in what it is compared with\n");
}

TEST_CASE("calibrate gives null for a missing reward, and says how many there were") {
  const files all;
  const outcome done = all.work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl --missing skip");
  CHECK(done.code == 0);
  CHECK(done.err == "infalign: p.jsonl: 6 missing rewards, calibrated as null\n");
  const auto lines = lines_of(done.out), inputs = lines_of(policy);
  REQUIRE(lines.size() == 7);
  const std::string none = ",\"calibrated_reward\":null,\"transformed_reward\":null,\"standard_error\":null}";
  for (const std::size_t i : {1, 4, 5, 6})
    CHECK(lines[static_cast<std::size_t>(i)] == inputs[static_cast<std::size_t>(i)].substr(0, inputs[i].size() - 1) + none);
  const json_document first(lines[0]);
  CHECK(simdjson::minify(first["calibrated_reward"]) == "[0.3333333333333333,null,1]");
  CHECK(simdjson::minify(first["standard_error"]).find(",null,") != std::string::npos);
  // Draws for ties go to the rewards that are there.
  const std::string ties = "calibrate --reference r.jsonl --missing skip --ties randomized:3 --rollouts ";
  all.work.write("some.jsonl", "{\"prompt_id\":3,\"rewards\":[null,0,1]}\n");
  all.work.write("all.jsonl", "{\"prompt_id\":3,\"rewards\":[0,1]}\n");
  const json_document some(all.work.infalign(ties + "some.jsonl").out), whole(all.work.infalign(ties + "all.jsonl").out);
  CHECK(simdjson::minify(some["calibrated_reward"]) == "[null," + simdjson::minify(whole["calibrated_reward"]).substr(1));
}

TEST_CASE("references that are missing") {
  const work_directory work;
  work.write("r.jsonl", "{\"prompt_id\":1,\"rewards\":[1,null]}\n{\"prompt_id\":2,\"reward\":null}\n");
  work.write("p.jsonl", "{\"prompt_id\":1,\"reward\":2}\n");
  work.write("q.jsonl", "{\"prompt_id\":2,\"reward\":2}\n");
  const std::string skip = "calibrate --missing skip --output o.jsonl --reference r.jsonl --rollouts ";
  CHECK(work.infalign(skip + "p.jsonl").err == "infalign: r.jsonl: 2 missing rewards, left out\n");
  CHECK(work.infalign(skip + "q.jsonl").err == "infalign: q.jsonl:1: prompt 2 has no reference in r.jsonl\n");
  work.write("r.jsonl", "{\"prompt_id\":2,\"reward\":null}\n");
  CHECK(work.infalign(skip + "p.jsonl").err == "infalign: r.jsonl: not one reward is there, 1 are missing\n");
}
