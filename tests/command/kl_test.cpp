// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign kl`.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

/// Best of two samples by enumeration of both, where equal rewards are chosen from at random.
double kl_of_best_of_two(const std::vector<double>& probabilities, const std::vector<double>& rewards) {
  std::vector<double> served(rewards.size());
  for (std::size_t a = 0; a < rewards.size(); ++a)
    for (std::size_t b = 0; b < rewards.size(); ++b) {
      const double both = probabilities[a] * probabilities[b];
      const double first = rewards[a] > rewards[b] ? 1 : rewards[a] < rewards[b] ? 0 : 0.5;
      served[a] += both * first;
      served[b] += both * (1 - first);
    }
  double kl = 0;
  for (std::size_t y = 0; y < rewards.size(); ++y) kl += served[y] * std::log(served[y] / probabilities[y]);
  return kl;
}

std::string list(const std::vector<double>& values) {
  std::ostringstream text;
  text.precision(17);
  for (std::size_t i = 0; i < values.size(); ++i) text << (i == 0 ? "[" : ",") << values[i];
  return text.str() + "]";
}

std::vector<double> logs(std::vector<double> values) {
  for (double& x : values) x = std::log(x);
  return values;
}

}  // namespace

TEST_CASE("the KL of responses from their log-probabilities") {
  const work_directory work;
  work.write("r",
             "{\"prompt_id\":1,\"log_prob\":[-1,-2],\"base_log_prob\":[-2,-1.5]}\n{\"prompt_id\":2,\"log_prob\":-3,"
             "\"base_log_prob\":-4}\n");
  const json_document found(work.infalign("kl r --json").out);
  CHECK(found.number("responses") == 3);
  CHECK(found.number("prompts") == 2);
  const auto value = [&](const char* key) { return found[key]["value"].get_double().value(); };
  CHECK(std::abs(value("k1") - (1 - 0.5 + 1) / 3) <= 1e-14);
  CHECK(std::abs(value("k2") - (1 + 0.25 + 1) / 6) <= 1e-14);
  const double k3 = (2 * std::exp(-1.0) + std::exp(0.5) - 1.5) / 3;  // of d = -1, ½, -1
  CHECK(std::abs(value("k3") - k3) <= 1e-14);
  CHECK(work.infalign("kl r").out.find("3 responses to 2 prompts") != std::string::npos);
  // A prompt whose responses are all missing is none, and takes its cluster with it.
  work.write("m",
             "{\"prompt_id\":0,\"log_prob\":null,\"base_log_prob\":-2,\"c\":9}\n"
             "{\"prompt_id\":1,\"log_prob\":[-1,-2],\"base_log_prob\":[-2,-1.5],\"c\":7}\n"
             "{\"prompt_id\":2,\"log_prob\":-3,\"base_log_prob\":-4,\"c\":7}\n"
             "{\"prompt_id\":3,\"log_prob\":-3,\"base_log_prob\":-4,\"c\":8}\n");
  const json_document rest(work.infalign("kl m --missing skip --cluster c --json").out);
  CHECK(rest.number("responses") == 4);
  CHECK(rest.number("prompts") == 3);
  CHECK(rest.number("clusters") == 2);
  CHECK(rest.number("missing_responses") == 1);
  const std::string text = work.infalign("kl m --missing skip --cluster c").out;
  CHECK(text.find("4 responses to 3 prompts\nerrors by 2 clusters of c\nleft out: 1 responses") != std::string::npos);
  work.write("bad", "{\"prompt_id\":1,\"log_prob\":1,\"base_log_prob\":-2}\n");
  CHECK(work.infalign("kl bad").code == 1);
}

TEST_CASE("the KL of best-of-N: bound, estimate from what was served, and exactly from all responses") {
  const work_directory work;
  const auto of = [](const json_document& found, const char* kind, const char* key) {
    return found[kind][key].get_double().value();
  };
  const double bound = std::log(4) - 0.75;
  CHECK(std::abs(json_document(work.infalign("kl --procedure best_of:4 --json").out).number("bound") - bound) <= 1e-14);
  CHECK(work.infalign("kl --procedure best_of:4").out == "KL of best_of:4 is at most 0.6363 nats\n");
  // Of a response of probability e: the formula of arXiv 2401.01879, section 4, as it stands there.
  const auto estimate = [&](double e) {
    const double missed = std::pow(1 - e, 4);
    return missed * (bound + 3 * std::log(1 - e)) + (1 - missed) * std::log((1 - missed) / e);
  };
  work.write("served", "{\"prompt_id\":1,\"base_log_prob\":" + list(logs({0.5, 0.25})) +
                           ",\"c\":1}\n{\"prompt_id\":2,\"base_log_prob\":-2000,\"c\":1}\n"
                           "{\"prompt_id\":3,\"base_log_prob\":[0,null],\"c\":2}\n");
  const std::string read = "kl served --procedure best_of:4 --missing skip";
  const json_document found(work.infalign(read + " --json").out);
  const double values[] = {0.5 * (estimate(0.5) + estimate(0.25)), bound, 0};  // the last is certain, and so served for sure
  const double mean = (values[0] + values[1] + values[2]) / 3;
  double squares = 0;
  for (const double x : values) squares += (x - mean) * (x - mean);
  CHECK(std::abs(of(found, "estimate", "value") - mean) <= 1e-14);
  CHECK(std::abs(of(found, "estimate", "standard_error") - std::sqrt(squares / 6)) <= 1e-14);
  CHECK(found.number("responses") == 4);
  CHECK(found.number("prompts") == 3);
  CHECK(found.number("missing_responses") == 1);
  const json_document clustered(work.infalign(read + " --cluster c --json").out);
  CHECK(clustered.number("clusters") == 2);
  CHECK(of(clustered, "estimate", "value") == of(found, "estimate", "value"));
  CHECK(work.infalign(read).out.find("best_of:4  KL, nats ") == 0);
  // Ties in the first, and probabilities that sum to 1 in single precision only in the second.
  const std::vector<double> first{0.5, 0.2, 0.3}, second{0.25, 0.75}, tied{1, 2, 2}, apart{1, 0};
  work.write("all", "{\"prompt_id\":1,\"lp\":" + list(logs(first)) + ",\"r\":" + list(tied) +
                        "}\n{\"prompt_id\":2,\"lp\":" + list(logs({0.25, 0.7500004})) + ",\"r\":" + list(apart) + "}\n");
  const json_document exact(work.infalign("kl all --procedure best_of:2 --base-field lp --reward-field r --json").out);
  const double expected = 0.5 * (kl_of_best_of_two(first, tied) + kl_of_best_of_two(second, apart));
  CHECK(std::abs(of(exact, "exact", "value") - expected) <= 1e-6);
  work.write("one", work.read("all").substr(0, work.read("all").find('\n')));
  const json_document one(work.infalign("kl one --procedure best_of:2 --base-field lp --reward-field r --json").out);
  CHECK(std::abs(of(one, "exact", "value") - kl_of_best_of_two(first, tied)) <= 1e-14);
  CHECK(one["exact"]["standard_error"].is_null());
}

TEST_CASE("the KL of best-of-N from what says nothing of it") {
  const work_directory work;
  const auto check = [&](const std::string& options, const std::string& message, int code = 2) {
    const outcome failed = work.infalign("kl " + options);
    CHECK(failed.code == code);
    CHECK(failed.out.empty());
    CHECK(failed.err == "infalign: " + message + "\n");
  };
  work.write("f", "{\"prompt_id\":1,\"base_log_prob\":-1,\"r\":1}\n{\"prompt_id\":2,\"base_log_prob\":0.5,\"r\":1}\n");
  check("--procedure worst_of:4", "--procedure is worst_of:4, must be best_of:N");
  check("--procedure best_of:0", "--procedure: 'best_of:0': best_of: N is 0, must be at least 1; the syntax is best_of:N");
  check("", "file is required (see --help)");
  check("f --reward-field r", "--reward-field: is for --procedure best_of:N");
  check("--procedure best_of:4 --reward-field r", "--reward-field: there is no file that would have it");
  check("f --procedure best_of:4 --policy-field p",
        "--policy-field: best-of-N is measured by probabilities under its base alone");
  check("f --procedure best_of:4 --reward-field base_log_prob", "base_log_prob is read as something else already");
  check("- --procedure best_of:4 --reward-field r", "the file is read twice, so it cannot be standard input");
  check("f --policy-field base_log_prob", "base_log_prob is read as something else already");
  check("f --procedure best_of:4", "f:2: prompt 2 has a base_log_prob of 0.5, must be at most 0", 1);
  check("f --procedure best_of:4 --reward-field r",
        "f: prompt 1 has responses whose probabilities sum to 0.36787944117144233, must be 1: --reward-field takes all that "
        "there are",
        1);
  work.write("p", "{\"prompt_id\":2,\"base_log_prob\":0.5,\"r\":1}\n");
  check("p --procedure best_of:4 --reward-field r", "p: prompt 2 has a base_log_prob of 0.5, must be at most 0", 1);
}
