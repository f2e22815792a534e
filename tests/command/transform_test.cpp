// SPDX-License-Identifier: Apache-2.0
/// \file
/// `--estimand expected-transform`.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

/// 1 for a reference that the reward beats, ½ for a tie.
double comparison(double reward, double reference) {
  return reward > reference ? 1 : reward < reference ? 0 : 0.5;
}

double quantile(double reward, const std::vector<double>& references) {
  double sum = 0;
  for (const double z : references) sum += comparison(reward, z);
  return sum / double(references.size());
}

/// The unbiased estimate of e^{tu}: by every set of references, the product of its comparisons estimates u to the power of its size.
double exponential_by_sets(double t, double reward, const std::vector<double>& references) {
  std::vector<double> sums(references.size() + 1), sets(references.size() + 1);
  for (std::size_t set = 0; set < std::size_t{1} << references.size(); ++set) {
    double product = 1;
    std::size_t size = 0;
    for (std::size_t i = 0; i < references.size(); ++i)
      if ((set >> i & 1) == 1) product *= comparison(reward, references[i]), ++size;
    sums[size] += product;
    ++sets[size];
  }
  double sum = 0, term = 1;
  for (std::size_t j = 0; j < sums.size(); ++j) {
    sum += term * sums[j] / sets[j];
    term *= t / double(j + 1);
  }
  return sum;
}

/// The jackknife of u², each reference left out in turn.
double square_by_jackknife(double reward, const std::vector<double>& references) {
  const auto k = double(references.size());
  const double all = quantile(reward, references);
  double value = k * all * all;
  for (std::size_t i = 0; i < references.size(); ++i) {
    std::vector<double> rest = references;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    value -= (k - 1) / k * quantile(reward, rest) * quantile(reward, rest);
  }
  return value;
}

std::string record(int id, const std::vector<double>& rewards) {
  std::string list;
  for (const double r : rewards) list += (list.empty() ? "" : ",") + std::to_string(r);
  return "{\"prompt_id\":" + std::to_string(id) + ",\"rewards\":[" + list + "],\"s\":" + std::to_string(id % 2) + "}\n";
}

}  // namespace

TEST_CASE("--estimand expected-transform is what enumeration gives, ties and ragged prompts included") {
  const work_directory work;
  const std::vector<std::vector<double>> rewards{{2, 0.5}, {3, 3, 1}, {-1}},
      references{{0, 1, 2, 2, 5}, {3, 4}, {-2, -3, 0, 1}};
  std::string policy, base;
  for (int p = 0; p < 3; ++p) {
    policy += record(p, rewards[std::size_t(p)]);
    base = record(p, references[std::size_t(p)]) + base;
  }
  work.write("policy", policy);
  work.write("base", record(9, {1}) + base);
  const auto mean = [&](const auto& of) {
    double sum = 0;
    for (std::size_t p = 0; p < 3; ++p)
      for (const double y : rewards[p]) sum += of(y, references[p]) / double(rewards[p].size()) / 3;
    return sum;
  };
  const auto found = [&](const std::string& transform) {
    return json_document(
        work.infalign("win-rate --policy policy --reference base --estimand expected-transform --json --transform " + transform)
            .out);
  };
  const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-13; };
  CHECK(close(found("identity").number("value"), mean(quantile)));
  CHECK(close(found("exponential:1.5").number("value"),
              mean([](double y, const auto& z) { return exponential_by_sets(1.5, y, z); })));
  // -e^{-2u} = -e^{-2}·e^{2(1-u)}, and 1 - u is the quantile of the rewards turned round.
  CHECK(close(found("exponential:-2").number("value"), mean([](double y, std::vector<double> z) {
                for (double& x : z) x = -x;
                return -std::exp(-2.0) * exponential_by_sets(2, -y, z);
              })));
  const json_document square = found("power:2");
  CHECK(close(square.number("value"), mean(square_by_jackknife)));
  CHECK(square.keys() == std::vector<std::string>{"prompts", "estimand", "transform", "value", "standard_error",
                                                  "confidence_interval", "missing_rewards", "short_prompts", "level"});
  const std::string of_square = " --reference base --estimand expected-transform --transform power:2";
  CHECK(work.infalign("win-rate --policy policy" + of_square).out.find("procedure  prompts  expected transform ") == 0);
  CHECK(work.infalign("win-rate --policy policy --stratum s" + of_square).code == 0);
  std::string turned;
  for (int p = 0; p < 3; ++p) turned += record(p, {-rewards[std::size_t(p)].front()});
  work.write("turned", turned);
  const json_document compared(work.infalign("compare --policy policy --baseline turned --json" + of_square).out);
  const double baseline = (square_by_jackknife(-2, references[0]) + square_by_jackknife(-3, references[1]) +
                           square_by_jackknife(1, references[2])) /
                          3;
  CHECK(close(compared.number("difference"), mean(square_by_jackknife) - baseline));
}

TEST_CASE("--estimand expected-transform of what cannot be transformed") {
  const work_directory work;
  work.write("p", record(1, {1, 2}) + record(2, {0}));
  work.write("z", record(1, {0, 3}) + record(2, {5}));
  const auto check = [&](const std::string& options, const std::string& message, int code = 2) {
    const outcome failed = work.infalign("win-rate --policy p --estimand expected-transform " + options);
    CHECK(failed.code == code);
    CHECK(failed.out.empty());
    CHECK(failed.err == "infalign: " + message + "\n");
  };
  check("--reference z", "--transform is required (see --help)");
  check("--transform identity", "--reference is required (see --help)");
  check("--reference z --transform identity --procedure best_of:2", "--procedure: expected-transform is of single samples");
  check("--reference z --transform identity --reference-procedure best_of:2",
        "--reference-procedure: expected-transform is of single samples");
  check("--reference z --transform identity --answer-field a", "--answer-field: expected-transform reads no answers");
  check("--reference z --transform exponential:200", "--transform: t is 200, must be in [-100, 100] and not 0");
  check("--reference z --transform power:2",
        "z:2: prompt 2 has 1 reward, fewer than the 2 that expected-transform draws (--short skip leaves it out)", 1);
  work.write("few", record(1, {1}));
  check("--reference few --transform identity", "p:2: prompt 2 has no reference in few", 1);
  check("--reference z --transform logarithm --short skip",
        "p:1: prompt 1 has an estimate of inf, as logarithm is infinite at 0 or 1 (clamped:LOW:HIGH:… is not)", 1);
  CHECK(work.infalign("win-rate --policy p --reference z --procedure standard --transform identity").err ==
        "infalign: --transform: win-rate transforms no rewards\n");
  const json_document kept(
      work.infalign("win-rate --policy p --reference z --estimand expected-transform --transform power:2 --short skip --json")
          .out);
  CHECK(kept.number("short_prompts") == 1);
}
