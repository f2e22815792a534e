// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "infalign/core/rng.hpp"

using namespace infalign::test;

namespace {

/// Half the width of Wilson's interval of one standard error to either side.
double wilson(double u, double k) {
  return std::sqrt(u * (1 - u) / k + 1 / (4 * k * k)) / (1 + 1 / k);
}

std::string shortest(double value) {
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

/// Files with ties, prompts in random order, and both kinds of records.
struct random_files {
  std::map<std::string, std::vector<double>> references;  ///< by prompt id as JSON
  std::vector<std::pair<std::string, std::vector<double>>> rollouts;
  std::string reference_text, rollouts_text;

  explicit random_files(unsigned seed) {
    std::mt19937 generator(seed);
    const std::vector<std::string> ids{"7", "\"7\"", "-3", "\"a \\\"quoted\\\" prompt\"", "\"größer\"", "18446744073709551615",
                                       "0"};
    const auto reward = [&] { return std::round(20 * std::normal_distribution<double>()(generator)) / 8 + 1e-17; };
    for (int i = 0; i < 300; ++i) {
      const std::string& id = ids[generator() % ids.size()];
      const double r = reward();
      references[id].push_back(r);
      reference_text += "{\"reward\": " + shortest(r) + ", \"prompt_id\": " + id + "}\n";
    }
    for (const std::string& id : ids) {  // further records of the same prompts, as lists
      const double a = reward(), b = reward();
      references[id].insert(references[id].end(), {a, b});
      reference_text += "{\"prompt_id\":" + id + ",\"rewards\":[" + shortest(a) + " , " + shortest(b) + "]}\n";
    }
    for (int i = 0; i < 200; ++i) {
      const std::string& id = ids[generator() % ids.size()];
      const bool list = generator() % 3 == 0;
      std::vector<double> rewards;
      std::string text;
      for (auto k = list ? 1 + generator() % 4 : 1; k > 0; --k) {
        rewards.push_back(reward());
        text += (text.empty() ? "" : ", ") + shortest(rewards.back());
      }
      rollouts_text += "{\"prompt_id\": " + id + ", \"index\": " + std::to_string(i) +
                       (list ? ", \"rewards\": [" : ", \"reward\": ") + text + (list ? "]" : "") +
                       ", \"meta\": {\"x\": [1, {}]}, \"text\": \"\\u00e9 }\\n\"}\n";
      rollouts.emplace_back(id, rewards);
    }
  }
};

/// `(#{z < y} + v·#{z = y}) / K` by counting.
double quantile(const std::vector<double>& references, double y, double share) {
  double sum = 0;
  for (const double z : references) sum += z < y ? 1 : z == y ? share : 0;
  return sum / static_cast<double>(references.size());
}

std::vector<double> values(const json_document& record, const char* key) {
  return record[key].is_array() ? record.numbers(key) : std::vector<double>{record.number(key)};
}

void check_output(const random_files& files, const std::string& output, const std::function<double(std::size_t)>& share,
                  const std::function<double(double)>& transform) {
  const auto lines = lines_of(output), inputs = lines_of(files.rollouts_text);
  REQUIRE(lines.size() == files.rollouts.size());
  std::size_t position = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& [id, rewards] = files.rollouts[i];
    // What was there is carried through byte for byte.
    CHECK(lines[i].substr(0, inputs[i].size() - 1) == inputs[i].substr(0, inputs[i].size() - 1));
    const json_document record(lines[i]);
    CHECK(record["calibrated_reward"].is_array() == (inputs[i].find("\"rewards\"") != std::string::npos));
    const auto u = values(record, "calibrated_reward"), phi = values(record, "transformed_reward");
    const auto error = values(record, "standard_error");
    REQUIRE(u.size() == rewards.size());
    const auto& references = files.references.at(id);
    for (std::size_t k = 0; k < rewards.size(); ++k) {
      const double expected = quantile(references, rewards[k], share(position++));
      CHECK(u[k] == doctest::Approx(expected).epsilon(1e-15));
      CHECK(phi[k] == transform(u[k]));
      CHECK(error[k] == doctest::Approx(wilson(u[k], static_cast<double>(references.size()))).epsilon(1e-14));
    }
  }
}

}  // namespace

TEST_CASE("calibrate equals counting, by every tie rule and transform") {
  const random_files files(1);
  const work_directory work;
  work.write("r.jsonl", files.reference_text);
  work.write("p.jsonl", files.rollouts_text);
  const auto run = [&](const std::string& options) {
    const outcome done = work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl --output out.jsonl " + options);
    CHECK(done.code == 0);
    CHECK(done.out.empty());
    CHECK(done.err.empty());
    return work.read("out.jsonl");
  };
  const auto half = [](std::size_t) { return 0.5; };
  const auto same = [](double u) { return u; };
  check_output(files, run(""), half, same);
  check_output(files, run("--ties mid_rank --transform exponential:10"), half, [](double u) { return std::exp(10 * u); });
  check_output(files, run("--transform exponential:-5"), half, [](double u) { return -std::exp(-5 * u); });
  check_output(files, run("--transform clamped:0.25:1:logarithm"), half, [](double u) { return std::log(std::max(u, 0.25)); });
  check_output(
      files, run("--ties below"), [](std::size_t) { return 0.0; }, same);
  check_output(
      files, run("--ties at_or_below"), [](std::size_t) { return 1.0; }, same);
  check_output(
      files, run("--ties randomized:5"),
      [](std::size_t position) { return (infalign::philox4x32(position, 0, 5).word[0] + 0.5) * 0x1.0p-32; }, same);
  CHECK(work.names() == std::vector<std::string>{"out.jsonl", "p.jsonl", "r.jsonl"});
}

TEST_CASE("leave-one-out ranks a reference among the others") {
  const work_directory work;
  work.write("r.jsonl",
             "{\"prompt_id\":1,\"rewards\":[3,1,2,2]}\n{\"prompt_id\":2,\"reward\":5}\n{\"prompt_id\":2,\"reward\":4}\n");
  const outcome done = work.infalign("calibrate --reference r.jsonl --rollouts r.jsonl --leave-one-out");
  CHECK(done.code == 0);
  const auto lines = lines_of(done.out);
  REQUIRE(lines.size() == 3);
  CHECK(json_document(lines[0]).numbers("calibrated_reward") == std::vector<double>{1, 0, 1.5 / 3, 1.5 / 3});
  CHECK(json_document(lines[0]).numbers("standard_error")[2] == doctest::Approx(0.25).epsilon(1e-15));
  CHECK(json_document(lines[1]).number("calibrated_reward") == 1);
  CHECK(json_document(lines[2]).number("calibrated_reward") == 0);
}

TEST_CASE("standard input and output, CRLF, blank lines, a byte order mark, no line feed at the end") {
  const work_directory work;
  work.write("r.jsonl",
             "\xEF\xBB\xBF{\"prompt_id\":\"a\",\"rewards\":[1,2,3,4]}\r\n\r\n  \t\r\n{\"prompt_id\":\"b\",\"reward\":1}\r\n");
  work.write("p.jsonl", "\n{ \"prompt_id\" : \"\\u0061\" , \"reward\" : 2.5 } \r\n\n{\"prompt_id\":\"b\",\"reward\":1E0}");
  const std::string expected =
      "{ \"prompt_id\" : \"\\u0061\" , \"reward\" : 2.5 "
      ",\"calibrated_reward\":0.5,\"transformed_reward\":0.5,\"standard_error\":0.223606797749979} \r\n"
      "{\"prompt_id\":\"b\",\"reward\":1E0,\"calibrated_reward\":0.5,\"transformed_reward\":0.5,\"standard_error\":0."
      "3535533905932738}\n";
  CHECK(work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl").out == expected);
  CHECK(work.infalign("calibrate --reference r.jsonl --rollouts - --output - < p.jsonl").out == expected);
  CHECK(work.shell("cat r.jsonl | \"$infalign\" calibrate --reference - --rollouts p.jsonl --output p.jsonl").code == 0);
  CHECK(work.read("p.jsonl") == expected);  // in place of its own input
}

TEST_CASE("lines longer than any block, and more of them than a block holds") {
  const work_directory work;
  const std::string text(3'000'000, 'x');
  std::string rollouts = "{\"prompt_id\":1,\"text\":\"" + text + "\",\"reward\":1}\n";
  for (int i = 0; i < 20'000; ++i)
    rollouts += "{\"prompt_id\":1,\"reward\":" + std::to_string(i % 3) + ",\"text\":\"" + text.substr(0, 60) + "\"}\n";
  rollouts += "{\"prompt_id\":1,\"text\":\"\\n" + text + "\",\"reward\":2}\n";  // through the parser of all JSON
  work.write("r.jsonl", "{\"prompt_id\":1,\"rewards\":[0,1,2]}\n");
  work.write("p.jsonl", rollouts);
  CHECK(work.infalign("calibrate --reference r.jsonl --rollouts p.jsonl --output out.jsonl").code == 0);
  const auto lines = lines_of(work.read("out.jsonl")), inputs = lines_of(rollouts);
  REQUIRE(lines.size() == 20'002);
  bool all_right = true;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t level = i == 0 ? 1 : i == 20'001 ? 2 : (i - 1) % 3;
    const char* const added[] = {",\"calibrated_reward\":0.16666666666666666,", ",\"calibrated_reward\":0.5,",
                                 ",\"calibrated_reward\":0.8333333333333334,"};
    const std::string begin = inputs[i].substr(0, inputs[i].size() - 1) + added[level];
    all_right = all_right && lines[i].compare(0, begin.size(), begin) == 0;
  }
  CHECK(all_right);
}

TEST_CASE("the result keeps the permissions of the file that it replaces, and links stay links") {
  const work_directory work;
  work.write("r.jsonl", "{\"prompt_id\":1,\"reward\":1}\n");
  work.write("old.jsonl", "old");
  CHECK(work.shell("chmod 640 old.jsonl && ln -s old.jsonl link.jsonl").code == 0);
  CHECK(work.infalign("calibrate --reference r.jsonl --rollouts r.jsonl --output link.jsonl").code == 0);
  CHECK(work.shell("stat -c %a old.jsonl; test -L link.jsonl").out == "640\n");
  CHECK(work.read("old.jsonl").find("calibrated_reward") != std::string::npos);
}
