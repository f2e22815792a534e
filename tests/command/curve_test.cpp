// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign curve` and `infalign rank`.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

void check_fails(const work_directory& work, const std::string& arguments, int code, const std::string& message) {
  const outcome failed = work.infalign(arguments);
  CHECK(failed.code == code);
  CHECK(failed.out.empty());
  CHECK(failed.err == "infalign: " + message + "\n");
}

}  // namespace

TEST_CASE("every N of a curve is what win-rate says of it alone") {
  const work_directory work;
  std::string policy, reference;
  for (int p = 0; p < 5; ++p) {
    const std::string id = std::to_string(p);
    policy += "{\"prompt_id\":" + id + ",\"rewards\":[1," + id + ",3,0.5,2],\"c\":" + std::to_string(p / 2) + "}\n";
    reference = "{\"prompt_id\":" + id + ",\"rewards\":[2,1," + id + ",0]}\n" + reference;
  }
  work.write("policy", policy);
  work.write("reference", reference);
  const json_document wins(work.infalign("curve --policy policy --reference reference --most 4 --cluster c --json").out);
  const json_document single(work.infalign("curve --policy policy --reference reference --reference-serves one --json").out);
  const json_document worst(work.infalign("curve --policy policy --worst --json").out);
  const auto at = [](const json_document& of, std::size_t n, const char* key) {
    return of["curve"].get_array().value().at(n - 1)[key].get_double().value();
  };
  CHECK(wins["curve"].get_array().value().size() == 4);
  CHECK(single["curve"].get_array().value().size() == 5);
  for (std::size_t n = 1; n <= 4; ++n) {
    const std::string best = "--procedure best_of:" + std::to_string(n);
    const json_document one(work.infalign("win-rate --policy policy --reference reference --cluster c --json " + best).out);
    CHECK(std::abs(at(wins, n, "value") - one.number("win_rate")) <= 1e-14);
    CHECK(std::abs(at(wins, n, "standard_error") - one.number("standard_error")) <= 1e-14);
    const json_document plain(
        work.infalign("win-rate --policy policy --reference reference --reference-procedure standard --json " + best).out);
    CHECK(std::abs(at(single, n, "value") - plain.number("win_rate")) <= 1e-14);
    const json_document low(
        work.infalign("win-rate --policy policy --estimand expected-reward --json --procedure worst_of:" + std::to_string(n))
            .out);
    CHECK(std::abs(at(worst, n, "value") - low.number("value")) <= 1e-13);
  }
  check_fails(work, "curve --policy policy --most 6", 1,
              "policy:1: prompt 0 has 5 rewards, fewer than the 6 of --most (--short skip leaves it out)");
  check_fails(work, "curve --policy policy --extrapolate 100", 1,
              "policy:1: prompt 0 has a reward other than 0 and 1, but --extrapolate takes passes");
  check_fails(work, "curve --policy policy --reference-serves one", 2,
              "--reference-serves: there is no --reference that would serve");
  for (const char* number : {"0", "-1"})
    check_fails(work, std::string("curve --policy policy --most ") + number, 2,
                std::string("--most is ") + number + ", must be at least 1");
  check_fails(work, "curve --policy policy --reference reference --extrapolate 100", 2,
              "--extrapolate: is for passes, not for win rates");
}

// What win-rate says of strata is checked against the textbook in strata_test.cpp.
TEST_CASE("curve and preferences by stratum: each is what win-rate says of it alone") {
  const work_directory work;
  std::string policy, reference;
  double easy = 0, hard = 0, first = 0;  // by hand: pass@2 of a prompt is 1 if either passes
  for (int p = 0; p < 10; ++p) {
    const int passes[] = {p % 3 == 0, p % 4 == 1};
    const std::string id = std::to_string(p), level = p < 6 ? "\"easy\"" : "2";
    policy += "{\"prompt_id\":" + id + ",\"rewards\":[" + std::to_string(passes[0]) + "," + std::to_string(passes[1]) +
              "],\"level\":" + level + "}\n";
    reference = "{\"prompt_id\":" + id + ",\"rewards\":[0," + std::to_string(p % 2) + "]}\n" + reference;
    (p < 6 ? easy : hard) += (passes[0] + passes[1] > 0) / (p < 6 ? 6.0 : 4.0);
    first += (p < 6 ? 0.25 / 6 : 0.75 / 4) * (passes[0] + passes[1]) / 2;
  }
  work.write("p", policy);
  work.write("r", reference);
  const std::string by = " --stratum level --stratum-weight easy=1 2=3";
  const auto step_of = [](const json_document& curve, std::size_t n) { return curve["curve"].get_array().value().at(n - 1); };
  const auto value = [](const auto& of, const char* key) { return of[key].get_double().value(); };
  for (const std::string against : {"", " --reference r"}) {
    const json_document curve(work.infalign("curve --policy p --json" + by + against).out);
    for (std::size_t n = 1; n <= 2; ++n) {
      const std::string best = against.empty() ? " --estimand pass@" : against + " --procedure best_of:";
      const json_document one(work.infalign("win-rate --policy p --json" + by + best + std::to_string(n)).out);
      CHECK(std::abs(value(step_of(curve, n), "value") - one.number(against.empty() ? "value" : "win_rate")) <= 1e-14);
      CHECK(std::abs(value(step_of(curve, n), "standard_error") - one.number("standard_error")) <= 1e-14);
      CHECK(value(step_of(curve, n)["by_stratum"].get_array().value().at(0), "weight") == 0.25);
    }
  }
  const json_document curve(work.infalign("curve --policy p --json" + by).out);
  CHECK(std::abs(value(step_of(curve, 1), "value") - first) <= 1e-14);
  CHECK(std::abs(value(step_of(curve, 2), "value") - (0.25 * easy + 0.75 * hard)) <= 1e-14);
  CHECK(work.infalign("curve --policy p" + by).out.find("stratum  prompts  weight  expected reward at N = 2 ") !=
        std::string::npos);
  const json_document judged(work.infalign("preferences p --preference-field rewards --json" + by).out);
  const json_document passes(work.infalign("win-rate --estimand pass@1 --policy p --json" + by).out);
  CHECK(std::abs(judged.number("win_rate") - first) <= 1e-14);
  CHECK(judged.number("standard_error") == passes.number("standard_error"));
  CHECK(judged.number("strata") == 2);
  CHECK(value(judged["by_stratum"].get_array().value().at(1), "weight") == 0.75);
  CHECK(work.infalign("preferences p --preference-field rewards" + by).out.find("\n\"easy\"         6  0.2500 ") !=
        std::string::npos);
  check_fails(work, "preferences p --preference-field rewards --stratum level --length-field level", 2,
              "--length-field: is for prompts without strata");
  check_fails(work, "preferences p --preference-field rewards --stratum rewards", 2,
              "--stratum: rewards is read as something else already");
  check_fails(work, "preferences p --stratum-weight easy=1", 2, "--stratum-weight: there is no --stratum that it would weigh");
  check_fails(work, "curve --policy p --stratum level --extrapolate 10", 2, "--extrapolate: is for prompts without strata");
  check_fails(work, "curve --policy p --stratum level --cluster c", 2,
              "--stratum and --cluster: prompts within a stratum must be sampled one by one");
  check_fails(work, "curve --policy p --stratum level --stratum-weight easy=1", 1,
              "p: stratum 2 has no weight (--stratum-weight NAME=0 leaves it out)");
}

TEST_CASE("passes beyond the samples, by both models") {
  const work_directory work;
  std::string text;
  for (int p = 0; p < 40; ++p)
    text += "{\"prompt_id\":" + std::to_string(p) + ",\"n\":100,\"successes\":" + std::to_string(p * p / 20) + "}\n";
  work.write("passes", text);
  const json_document found(work.infalign("curve --policy passes --extrapolate 1000,10000 --json").out);
  double before = 0;
  for (const auto beyond : found["extrapolated"].get_array()) {
    const auto beta = beyond["beta_rates"];
    const double value = beta["value"].get_double().value();
    CHECK(value > before);
    CHECK(value < 1);
    CHECK(beta["confidence_interval"].get_array().value().at(0).get_double().value() < value);
    before = value;
  }
  const std::string table = work.infalign("curve --policy passes --extrapolate 1000").out;
  CHECK(table.find("extrapolated:\nN     Beta rates") != std::string::npos);
  CHECK(table.find("\n64 ") != std::string::npos);
}

TEST_CASE("Elo scores of policies from words, numbers and ties") {
  const work_directory work;
  std::string text;
  for (int p = 0; p < 40; ++p) {  // 30 of 40 for a, so that the difference is 400·log10(3) = 190.8
    const char* winner = p < 28 ? "\"first\"" : p < 32 ? "\"tie\"" : "\"second\"";
    text += "{\"prompt_id\":" + std::to_string(p) + ",\"first\":\"a\",\"second\":\"b\",\"winner\":" + winner + "}\n";
  }
  work.write("judged", text);
  const json_document found(work.infalign("rank judged --json").out);
  const auto row = [&](std::size_t i) { return found["policies"].get_array().value().at(i); };
  CHECK(std::string(row(0)["policy"].get_string().value()) == "a");
  CHECK(std::abs(row(0)["elo"].get_double().value() - row(1)["elo"].get_double().value() - 400 * std::log10(3.0)) <= 1e-8);
  CHECK(found.number("prompts") == 40);
  CHECK(work.infalign("rank judged").out.find("policy  judgments     Elo  s.e.    95 % interval\na              40  1095.4") ==
        0);
  work.write("lost", "{\"prompt_id\":1,\"first\":\"a\",\"second\":\"b\",\"winner\":\"first\"}\n");
  check_fails(
      work, "rank lost", 1,
      "lost: no finite scores fit: \"a\" and \"b\" are in two parts of the policies, of which one never beats the other; "
      "--prior 1 makes them finite");
  CHECK(work.infalign("rank lost --prior 1").code == 0);
  work.write("apart",
             "{\"prompt_id\":1,\"first\":\"a\",\"second\":\"b\",\"winner\":\"tie\"}\n"
             "{\"prompt_id\":1,\"first\":\"c\",\"second\":\"d\",\"winner\":\"tie\"}\n");
  check_fails(work, "rank apart", 1,
              "apart: \"a\" and \"c\" are not compared, not even by way of others; --prior 1 ties each to an average policy");
  CHECK(work.infalign("rank apart --prior 1").code == 0);
  work.write("self", "{\"prompt_id\":1,\"first\":\"a\",\"second\":\"a\",\"winner\":\"first\"}\n");
  check_fails(work, "rank self", 1, "self:1: \"a\" is compared with itself");
  check_fails(work, "rank -", 2, "the file is read twice, so it cannot be standard input");
}
