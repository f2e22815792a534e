// SPDX-License-Identifier: Apache-2.0
/// \file
/// `--variance-split` and `--target-error`.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

TEST_CASE("--variance-split: what prompts differ by, and what their samples err by") {
  const work_directory work;
  std::string text;
  double means[6], inner = 0, outer = 0, mean = 0;
  for (int p = 0; p < 6; ++p) {
    const int n = 5 + p, c = (p * 3) % 5;
    text +=
        "{\"prompt_id\":" + std::to_string(p) + ",\"n\":" + std::to_string(n) + ",\"successes\":" + std::to_string(c) + "}\n";
    means[p] = double(c) / n;
    mean += means[p] / 6;
    inner += means[p] * (1 - means[p]) / (n - 1) / 6;  // the unbiased variance of a rate
  }
  for (const double m : means) outer += (m - mean) * (m - mean) / 5;
  work.write("p", text);
  const json_document found(work.infalign("win-rate --policy p --estimand pass@1 --variance-split --json").out);
  const auto of = found["variance"];
  CHECK(std::abs(double(of["of_sampling"]) - inner) <= 1e-14);
  CHECK(std::abs(double(of["between_prompts"]) - (outer - inner)) <= 1e-14);
  CHECK(std::abs(double(of["sampling_share"]) - inner / outer) <= 1e-13);
  CHECK(std::abs(double(of["standard_error_twice_prompts"]) - std::sqrt(outer / 12)) <= 1e-14);
  CHECK(std::abs(double(of["standard_error_twice_samples"]) - std::sqrt((outer - inner / 2) / 6)) <= 1e-14);
  CHECK(work.infalign("win-rate --policy p --estimand pass@1 --variance-split").out.find("\nvariance (6 prompts): ") !=
        std::string::npos);
  CHECK(work.infalign("win-rate --policy p --estimand pass@5 --variance-split").err ==
        "infalign: p: --variance-split needs two prompts with twice the samples that best_of:5 draws\n");
  work.write("single", "{\"prompt_id\":1,\"reward\":1}\n{\"prompt_id\":2,\"reward\":0}\n");
  CHECK(work.infalign("win-rate --policy single --estimand pass@1 --variance-split").err ==
        "infalign: single: --variance-split needs two prompts, and two samples of one of them\n");
}

// Prompts N(0, 1) apart, eight samples with noise N(0, 1): between 1 and sampling 1/8, in either way, with standard errors of 1/8·√(2/1500)
// and √2·(9/8)/√1500. Sorted lists, whose halves in order would differ most.
TEST_CASE("--variance-split by halves agrees with the split of means and with what was simulated") {
  const work_directory work;
  std::mt19937 generator(5);
  std::normal_distribution<double> normal;
  std::string text;
  for (int p = 0; p < 1500; ++p) {
    const double own = normal(generator);
    std::vector<double> samples(8);
    for (double& x : samples) x = own + normal(generator);
    std::sort(samples.begin(), samples.end());
    text += "{\"prompt_id\":" + std::to_string(p) + ",\"rewards\":[" + std::to_string(samples[0]);
    for (std::size_t i = 1; i < 8; ++i) text += "," + std::to_string(samples[i]);
    text += "]}\n";
  }
  work.write("p", text);
  for (const char* procedure : {"standard", "best_of:1"}) {
    CAPTURE(procedure);
    const json_document found(
        work.infalign("win-rate --policy p --estimand expected-reward --variance-split --json --procedure " +
                      std::string(procedure))
            .out);
    CHECK(std::abs(double(found["variance"]["of_sampling"]) - 0.125) <= 4 * 0.125 * std::sqrt(2 / 1500.0));
    CHECK(std::abs(double(found["variance"]["between_prompts"]) - 1) <= 4 * std::sqrt(2 / 1500.0) * 9 / 8);
  }
}

// Every number of samples is tried, each with the least number of prompts. The samples of a prompt, 2 and 6 of either half, count as their
// harmonic mean, 3.
TEST_CASE("--target-error: the cheapest prompts and samples that reach it") {
  const work_directory work;
  std::string text;
  for (int p = 0; p < 40; ++p) {
    const int n = p % 2 == 0 ? 2 : 6;
    text += "{\"prompt_id\":" + std::to_string(p) + ",\"n\":" + std::to_string(n) +
            ",\"successes\":" + std::to_string(p % (n + 1)) + "}\n";
  }
  work.write("p", text);
  const std::string split = "win-rate --policy p --estimand pass@1 --variance-split ";
  const auto check = [&](const std::string& options, double error, double prompt, double sample, long long most) {
    CAPTURE(options);
    const json_document found(work.infalign(split + options + " --json").out);
    const double between = double(found["variance"]["between_prompts"]);
    const double within = 3 * double(found["variance"]["of_sampling"]);
    double cost = 0;
    long long samples = 0, prompts = 0;
    for (long long m = 1; m <= most; ++m) {
      long long least = 1;
      while (std::sqrt((between + within / double(m)) / double(least)) > error) ++least;
      const double own = double(least) * (prompt + double(m) * sample);
      if (samples == 0 || own < cost) cost = own, samples = m, prompts = least;
    }
    const auto plan = found["sampling_plan"];
    CHECK(plan["standard_error"].get_double().value() == error);
    CHECK(plan["prompts"].get_int64().value() == prompts);
    CHECK(plan["samples"].get_int64().value() == samples);
    CHECK(std::abs(double(plan["cost"]) - cost) <= 1e-9);
  };
  check("--target-error 0.02", 0.02, 0, 1, 20);
  check("--target-error 0.02 --prompt-cost 20", 0.02, 20, 1, 40);
  check("--target-error 0.02 --prompt-cost 20 --sample-cost 0.25 --most-samples 5", 0.02, 20, 0.25, 5);
  CHECK(work.infalign(split + "--json").out.find("sampling_plan") == std::string::npos);
  CHECK(work.infalign(split + "--target-error 0.02").out.find("\nfor a standard error of 0.02: ") != std::string::npos);
  // A procedure that draws two takes at least two.
  const json_document two(
      work.infalign("win-rate --policy p --estimand pass@2 --short skip --variance-split --target-error 0.1 --json").out);
  CHECK(two["sampling_plan"]["samples"].get_int64().value() == 2);
  const auto message = [&](const std::string& options) {
    const outcome failed = work.infalign("win-rate --policy p --estimand pass@1 " + options);
    CHECK(failed.code == 2);
    CHECK(failed.out.empty());
    return failed.err;
  };
  CHECK(message("--target-error 0.1") == "infalign: --target-error: there is no --variance-split that it would go by\n");
  for (const char* option : {"--prompt-cost", "--sample-cost", "--most-samples"})
    CHECK(message(std::string("--variance-split ") + option + " 3") ==
          "infalign: " + std::string(option) + ": there is no --target-error that would be bought\n");
  const std::string wanted = "--variance-split --target-error ";
  CHECK(message(wanted + "0") == "infalign: --target-error is 0, must be positive and finite\n");
  CHECK(message(wanted + "1e-30") == "infalign: --target-error: more than 2^53 prompts are needed\n");
  CHECK(message(wanted + "0.1 --prompt-cost -1") == "infalign: --prompt-cost is -1, must be finite and not negative\n");
  CHECK(message(wanted + "0.1 --sample-cost 0") == "infalign: --sample-cost is 0, must be positive and finite\n");
  CHECK(message(wanted + "0.1 --most-samples 0") == "infalign: --most-samples is 0, must be at least 1\n");
  CHECK(message(wanted + "0.1 --most-samples 99999999") == "infalign: --most-samples is 99999999, must be at most 16777216\n");
  CHECK(work.infalign("win-rate --policy p --estimand pass@3 --short skip --most-samples 2 " + wanted + "0.1").err ==
        "infalign: --most-samples is 2, fewer than the 3 that a prompt needs\n");
}
