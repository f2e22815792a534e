// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "infalign/core/math.hpp"

using namespace infalign::test;

namespace {

struct prompt_values {
  double kl, inference, standard;
};

/// A prompt whose base policy is these samples, each as likely: calibrated by mid-rank, tilted by exp(u/β), played best of n.
prompt_values plug_in(const std::vector<double>& samples, double beta, double n) {
  std::map<double, double> share;  // of each reward level
  for (const double r : samples) share[r] += 1 / static_cast<double>(samples.size());
  std::vector<double> base, policy;
  double below = 0, normalizer = 0;
  for (const auto& [level, p] : share) {
    base.push_back(p);
    policy.push_back(p * std::exp((below + p / 2) / beta));
    normalizer += policy.back();
    below += p;
  }
  prompt_values found{0, 0, 0};
  double f = 0, q = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const double w = policy[i] / normalizer;
    found.kl += w * std::log(w / base[i]);
    found.inference += (std::pow(f + w, n) - std::pow(f, n)) * (std::pow(q, n) + std::pow(q + base[i], n)) / 2;
    found.standard += w * (q + base[i] / 2);
    f += w;
    q += base[i];
  }
  return found;
}

/// K·θ_K - (K-1)·mean of the θ_{K-1} without one sample.
prompt_values jackknife(const std::vector<double>& samples, double beta, double n) {
  const auto k = static_cast<double>(samples.size());
  const prompt_values all = plug_in(samples, beta, n);
  prompt_values sum{0, 0, 0};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::vector<double> left = samples;
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
    const prompt_values without = plug_in(left, beta, n);
    sum.kl += without.kl / k;
    sum.inference += without.inference / k;
    sum.standard += without.standard / k;
  }
  return {k * all.kl - (k - 1) * sum.kl, k * all.inference - (k - 1) * sum.inference,
          k * all.standard - (k - 1) * sum.standard};
}

}  // namespace

TEST_CASE("evaluate is the jackknife of the closed form, prompt by prompt") {
  // Levels that stay tied when any one sample is left out.
  const std::vector<std::vector<double>> prompts{
      {0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2}, {5, 5, 5, 5, 5, 7, 7, 7}, {-1, -1, -1, 3, 3, 3, 4, 4, 4}};
  const work_directory work;
  std::string text;
  for (std::size_t p = 0; p < prompts.size(); ++p)
    for (const double r : prompts[p])
      text += "{\"prompt_id\":" + std::to_string(p) + ",\"reward\":" + std::to_string(r) + "}\n";
  work.write("r.jsonl", text);
  const outcome done =
      work.infalign("evaluate --reference r.jsonl --procedure best_of:4 --transform identity --beta 0.1,0.5 --json");
  CHECK(done.err.empty());
  REQUIRE(done.code == 0);
  const json_document found(done.out);
  CHECK(found.number("prompts") == 3);
  CHECK(found.number("level") == 0.95);
  std::size_t i = 0;
  for (const simdjson::dom::element row : found["rows"].get_array()) {
    const double beta = row["beta"];
    CHECK(beta == (i++ == 0 ? 0.1 : 0.5));
    const auto check = [&](const char* key, double prompt_values::*member) {
      double corrected = 0, biased = 0, squares = 0;
      for (const auto& samples : prompts) corrected += jackknife(samples, beta, 4).*member / 3;
      for (const auto& samples : prompts) biased += plug_in(samples, beta, 4).*member / 3;
      for (const auto& samples : prompts) squares += std::pow(jackknife(samples, beta, 4).*member - corrected, 2);
      const double error = std::sqrt(squares / 2 / 3);
      CAPTURE(key);
      CHECK(double(row[key]["value"]) == doctest::Approx(corrected).epsilon(1e-10));
      CHECK(double(row[key]["plug_in"]) == doctest::Approx(biased).epsilon(1e-10));
      CHECK(double(row[key]["standard_error"]) == doctest::Approx(error).epsilon(1e-9));
      // Two halves of a sample of every prompt have their own tests; here, that the interval holds the parts that are printed.
      const double t = 4.302652729749464;  // scipy.stats.t.ppf(0.975, 2)
      const double half = t * error + double(row[key]["bias"]) + double(row[key]["unseen"]);
      const double highest = std::string(key) == "kl" ? infalign::infinity<double> : 1;
      CHECK(double(row[key]["bias"]) >= 0.5 * std::abs(corrected - biased) - 1e-9);
      CHECK(double(row[key]["confidence_interval"].at(0)) == doctest::Approx(std::max(0.0, corrected - half)).epsilon(1e-7));
      CHECK(double(row[key]["confidence_interval"].at(1)) ==
            doctest::Approx(std::min(highest, corrected + half)).epsilon(1e-7));
    };
    check("kl", &prompt_values::kl);
    check("inference_win_rate", &prompt_values::inference);
    check("standard_win_rate", &prompt_values::standard);
  }
  CHECK(i == 2);
}

TEST_CASE("evaluate says when its samples cannot carry the policy, and what it cannot use") {
  const work_directory work;
  work.write("r.jsonl", "{\"prompt_id\":1,\"rewards\":[1,1,2,2,3]}\n{\"prompt_id\":2,\"rewards\":[1,4,2,2,3]}\n");
  work.write("one.jsonl", "{\"prompt_id\":1,\"rewards\":[1,2]}\n{\"prompt_id\":\"x\",\"reward\":1}\n");
  const std::string start = "evaluate --procedure best_of:4 --transform identity ";
  const outcome thin = work.infalign(start + "--reference r.jsonl --beta 0.01 --json");
  CHECK(json_document(thin.out)["rows"].at(0)["reliable"].get_bool().value() == false);
  CHECK(work.infalign(start + "--reference r.jsonl --beta 0.01").out.find("* too few samples") != std::string::npos);
  // Fifty prompts of eight failures.
  std::string zeros;
  for (int p = 0; p < 50; ++p) zeros += "{\"prompt_id\":" + std::to_string(p) + ",\"rewards\":[0,0,0,0,0,0,0,0]}\n";
  work.write("zeros.jsonl", zeros);
  const std::string blind = "a better reward that was not sampled could hold much of the policy";
  const json_document marked(work.infalign(start + "--reference zeros.jsonl --beta 0.01 --json").out);
  CHECK(std::string(marked["rows"].at(0)["doubt"].get_string().value()) == blind);
  CHECK(double(marked["rows"].at(0)["kl"]["confidence_interval"].at(1)) > 0.1);
  CHECK(double(marked["rows"].at(0)["blind_prompts"]) == 50);
  CHECK(work.infalign(start + "--reference zeros.jsonl --beta 0.01").out.find("* " + blind) != std::string::npos);
  CHECK(json_document(work.infalign(start + "--reference zeros.jsonl --beta 100 --json").out)["rows"].at(0)["reliable"]);
  const outcome one = work.infalign(start + "--reference one.jsonl --beta 0.1");
  CHECK(one.code == 1);
  CHECK(one.err ==
        "infalign: one.jsonl:2: prompt \"x\" has 1 reward, a prediction needs at least 2 (--short skip leaves it out)\n");
  CHECK(work.infalign(start + "--reference r.jsonl --beta 1,,2").err ==
        "infalign: --beta: '1,,2': '' is no number; the syntax is X,X,…\n");
  for (const char* beta : {"0", "-1", "nan", "inf"}) {
    const outcome wrong = work.infalign(start + "--reference r.jsonl --beta " + beta);
    CHECK(wrong.code == 2);
    CHECK(wrong.err.find(std::string("infalign: --beta is ") + beta + ", must be positive and finite") == 0);
  }
}

TEST_CASE("a prediction stays in its range") {
  const work_directory work;
  work.write("r.jsonl", "{\"prompt_id\":1,\"rewards\":[0,0,0,0,0,0,0,1]}\n{\"prompt_id\":2,\"rewards\":[0,0,0,0,0,0,0,1]}\n");
  const json_document found(
      work.infalign("evaluate --procedure worst_of:16 --transform exponential:-40 --beta 0.5 --reference r.jsonl --json").out);
  for (const char* key : {"inference_win_rate", "standard_win_rate"}) {
    const simdjson::dom::element value = found["rows"].at(0)[key];
    CHECK(double(value["value"]) >= 0);
    CHECK(double(value["value"]) <= 1);
    CHECK(double(value["confidence_interval"].at(0)) < double(value["confidence_interval"].at(1)));
  }
}

TEST_CASE("a prediction that is no number is an error") {
  const work_directory work;
  work.write("r.jsonl", "{\"prompt_id\":1,\"rewards\":[1,1,2,2,3]}\n{\"prompt_id\":2,\"rewards\":[1,4,2,2,3]}\n");
  for (const char* json : {"", " --json"}) {
    const outcome failed = work.infalign(
        "evaluate --procedure best_of:4 --reference r.jsonl --beta 0.1 --transform identity --transform exponential:1000" +
        std::string(json));
    CHECK(failed.code > 0);
    CHECK(failed.out.empty());
    CHECK(failed.err.rfind("infalign: ", 0) == 0);
    CHECK(failed.err.find("exponential:1000") != std::string::npos);
    CHECK(lines_of(failed.err).size() == 1);
  }
}
