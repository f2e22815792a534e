// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign preferences`: win rates from judgments.
#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <string>

#include "command/run_command.hpp"
#include "evaluation/alpaca_eval_lengths.hpp"

using namespace infalign::test;

namespace {

/// As AlpacaEval's files of annotations are, a JSON array with other fields, some of them long and nested.
std::string annotations(int wins, int ties, int losses) {
  std::string text = "[";
  int id = 0;
  const auto add = [&](int n, const char* preference) {
    for (; n > 0; --n, ++id)
      text += std::string(id == 0 ? "" : ",") + "\n  {\n    \"instruction\":\"What is " + std::to_string(id) +
              "?\",\n    \"output_1\":\"{[\\\"\\n\",\n    \"raw\":{\"preference\":[3]},\n    \"preference\":" + preference +
              "\n  }";
  };
  add(wins, "2");
  add(losses, "1.0");
  add(ties, "1.5");
  return text + "\n]\n";
}

std::string number_text(double value) {
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

}  // namespace

// AlpacaEval 2, judge alpaca_eval_gpt4_turbo_fn: the leaderboard's win_rate, standard_error and numbers of wins, draws and losses
// (src/alpaca_eval/leaderboards/data_AlpacaEval_2, Apache-2.0).
TEST_CASE("AlpacaEval's published figures from annotations as they are published") {
  const work_directory work;
  const auto check = [&](int wins, int ties, int losses, double win_rate, double error) {
    work.write("annotations.json", annotations(wins, ties, losses));
    const json_document found(
        work.infalign("preferences annotations.json --prompt-field instruction --preference-range 1:2 --json").out);
    CHECK(found.number("prompts") == 805);
    CHECK(found.number("wins") == wins);
    CHECK(found.number("ties") == ties);
    CHECK(found.number("losses") == losses);
    CHECK(std::abs(100 * found.number("win_rate") - win_rate) <= 2e-13);
    CHECK(std::abs(100 * found.number("standard_error") - error) <= 2e-13);
  };
  check(162, 4, 639, 20.372670807453417, 1.4150044409806855);  // gemini-pro
  check(155, 0, 650, 19.25465838509317, 1.3905884653013636);   // cohere
  CHECK(work.infalign("preferences annotations.json --prompt-field instruction --preference-range 1:2").out ==
        "prompts  wins  ties  losses  win rate    s.e.    95 % interval\n"
        "805       155     0     650    0.1925  0.0139  0.1667 … 0.2213\n");
}

TEST_CASE("winners, probabilities, lists, truth values and CSV") {
  const work_directory work;
  work.write("words.jsonl",
             "{\"prompt_id\":1,\"winner\":\"policy\"}\n{\"prompt_id\":2,\"winner\":\"tie\"}\n"
             "{\"prompt_id\":2,\"winner\":[\"base\",\"policy\"]}\n{\"prompt_id\":3,\"preference\":0.25}\n"
             "{\"prompt_id\":4,\"preference\":true}\n");
  const json_document found(work.infalign("preferences words.jsonl --json --per-prompt rows.jsonl").out);
  CHECK(found.number("prompts") == 4);
  CHECK(found.number("judgments") == 6);
  CHECK(found.number("wins") == 3);
  CHECK(found.number("ties") == 1);
  CHECK(found.number("losses") == 2);
  CHECK(found.number("win_rate") == (1 + 0.5 + 0.25 + 1) / 4);
  CHECK(work.read("rows.jsonl") ==
        "{\"prompt_id\": 1, \"win_rate\": 1}\n{\"prompt_id\": 2, \"win_rate\": 0.5}\n"
        "{\"prompt_id\": 3, \"win_rate\": 0.25}\n{\"prompt_id\": 4, \"win_rate\": 1}\n");
  work.write("words.csv", "prompt_id,verdict,note\na,policy,\"x, y\"\nb,base,\nc,,\n");
  const json_document csv(
      work.infalign("preferences --preferences words.csv --preference-field verdict --missing skip --json").out);
  CHECK(csv.number("win_rate") == 0.5);
  CHECK(csv.number("missing_judgments") == 1);
  // The range is that of the numbers alone, and may be turned round.
  work.write("turned.jsonl",
             "{\"prompt_id\":1,\"preference\":7}\n{\"prompt_id\":2,\"preference\":\"base\"}\n"
             "{\"prompt_id\":3,\"preference\":5}\n");
  const json_document turned(work.infalign("preferences turned.jsonl --preference-range 7:-1 --json --level 0.9").out);
  CHECK(std::abs(turned.number("win_rate") - 0.25 / 3) <= 1e-15);
}

// Of AlpacaEval's annotations of gemma-7b-it; the truths are in tests/evaluation/pairwise_test.cpp.
TEST_CASE("the win rate at equal lengths") {
  const work_directory work;
  std::string text;
  int id = 0;
  for (const auto& [preference, longer] : alpaca_eval_lengths)
    text += "{\"prompt_id\":" + std::to_string(id++) + ",\"preference\":" + number_text(preference) +
            ",\"longer\":" + std::to_string(longer) + "}\n";
  work.write("j", text);
  const json_document found(work.infalign("preferences j --preference-range 1:2 --length-field longer --json").out);
  CHECK(std::abs(100 * found.number("win_rate") - 6.937294379677018) <= 1e-11);
  CHECK(std::abs(found["length_controlled"]["win_rate"].get_double().value() - 0.12972746) <= 2e-7);
  CHECK(work.infalign("preferences j --preference-range 1:2 --length-field longer").out.find("at equal lengths: 0.1297 ± ") !=
        std::string::npos);
  // A judgment without a length is one of the plain win rate alone. Clusters are those of prompts.
  work.write("few",
             "{\"prompt_id\":1,\"preference\":[1,0],\"longer\":[3,-1],\"c\":1}\n"
             "{\"prompt_id\":2,\"preference\":[0,1],\"longer\":[4,1],\"c\":1}\n"
             "{\"prompt_id\":3,\"preference\":[1,0,1],\"longer\":[-5,9,null],\"c\":2}\n");
  const std::string few = "preferences few --length-field longer --missing skip ";
  const auto error = [&](const json_document& of) { return of["length_controlled"]["standard_error"].get_double().value(); };
  const json_document by_prompt(work.infalign(few + "--json").out), by_cluster(work.infalign(few + "--cluster c --json").out);
  CHECK(by_prompt.number("judgments") == 7);
  CHECK(by_prompt["length_controlled"]["judgments"].get_int64().value() == 6);
  CHECK(error(by_prompt) > 0);
  CHECK(error(by_prompt) != error(by_cluster));
  CHECK(work.infalign(few).out.find(", of 6 judgments\n") != std::string::npos);
  // What fails leaves no file behind: here all is won, and no coefficients fit.
  work.write("won", "{\"prompt_id\":1,\"preference\":1,\"longer\":3}\n{\"prompt_id\":2,\"preference\":1,\"longer\":-1}\n");
  const outcome failed = work.infalign("preferences won --length-field longer --per-prompt rows");
  CHECK(failed.code == 1);
  CHECK(failed.err.find("no finite coefficients fit") != std::string::npos);
  CHECK(!work.has("rows"));
  CHECK(work.infalign("preferences won --per-prompt rows").code == 0);
  CHECK(work.has("rows"));
  CHECK(work.infalign("preferences - --length-field longer").code == 2);
}

TEST_CASE("judgments of prompts that come in clusters") {
  const work_directory work;
  work.write("j",
             "{\"prompt_id\":1,\"winner\":\"policy\",\"text\":\"a\"}\n{\"prompt_id\":2,\"winner\":\"policy\",\"text\":\"a\"}\n"
             "{\"prompt_id\":3,\"winner\":\"base\",\"text\":\"b\"}\n{\"prompt_id\":4,\"winner\":\"base\",\"text\":\"b\"}\n");
  const json_document found(work.infalign("preferences j --cluster text --json").out);
  CHECK(found.number("clusters") == 2);
  CHECK(found.number("prompts") == 4);
  CHECK(found.number("win_rate") == 0.5);
  CHECK(std::abs(found.number("standard_error") - std::sqrt(2.0 * (1 + 1)) / 4) <= 1e-15);
  // A prompt whose judgments are all missing takes its cluster with it.
  work.write("m", "{\"prompt_id\":0,\"winner\":null,\"text\":\"c\"}\n" + work.read("j"));
  const json_document rest(work.infalign("preferences m --cluster text --missing skip --json").out);
  CHECK(rest.number("clusters") == 2);
  CHECK(rest.number("prompts") == 4);
  CHECK(rest.number("missing_judgments") == 1);
  CHECK(std::abs(rest.number("standard_error") - std::sqrt(2.0 * (1 + 1)) / 4) <= 1e-15);
}

TEST_CASE("judgments that are none") {
  const work_directory work;
  const auto check = [&](const std::string& text, const std::string& options, const std::string& message, int code = 1) {
    work.write("j", text);
    const outcome failed = work.infalign("preferences j " + options);
    CHECK(failed.code == code);
    CHECK(failed.out.empty());
    CHECK(failed.err == "infalign: " + message + "\n");
  };
  check("{\"prompt_id\":1,\"winner\":\"me\"}", "", "j:1: winner is \"me\", must be a number, policy, base or tie");
  check("{\"prompt_id\":1,\"preference\":1}\n{\"prompt_id\":2,\"preference\":2}", "",
        "j:2: prompt 2 has a preference of 2, must be from 0 (base) to 1 (policy); see --preference-range");
  check("{\"prompt_id\":1,\"preference\":0}", "--preference-range 1:2",
        "j:1: prompt 1 has a preference of 0, must be from 1 (base) to 2 (policy); see --preference-range");
  check("{\"prompt_id\":1}", "", "j:1: preference (or winner) is missing: {\"prompt_id\":1} (--missing skip leaves it out)");
  check("{\"prompt_id\":1,\"winner\":null}", "", "j:1: winner is null, must be a number (--missing skip leaves it out)");
  check("{\"prompt_id\":1,\"winner\":\"tie\",\"preference\":1}", "",
        "j:1: preference is a second one, the rewards must be there once");
  check("prompt_id,winner\n1,you\n", "", "j:2: winner is 'you', must be a finite number, policy, base or tie");
  check("prompt_id,verdict\n1,tie\n", "",
        "j:1: this is read as CSV, and the header has no column preference (or winner): prompt_id,verdict");
  for (const char* range : {"1", "1:1", "a:b", "0:inf", "1:2:3", ""})
    check("", std::string("--preference-range '") + range + "'",
          std::string("--preference-range is '") + range + "', must be BASE:POLICY, two numbers that differ", 2);
}
