// SPDX-License-Identifier: Apache-2.0
/// Which of the samples in hand is served: against the definitions of the procedures, counted over many seeds, and against `serve`.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <infalign/serving.hpp>
#include <limits>
#include <string>
#include <vector>

#include "support/samples.hpp"

using namespace infalign;

namespace {

constexpr index_t prompts = test::draws(20'000);

/// How often each position is served, where all prompts have the same scores.
template <class Procedure>
std::vector<double> shares(const Procedure& procedure, const std::vector<double>& scores) {
  const auto n = static_cast<index_t>(scores.size());
  std::vector<index_t> served(prompts);
  choose_samples(procedure, rows<const double>(scores.data(), prompts, n, 0), served, 7);
  std::vector<double> share(scores.size());
  for (const index_t i : served) share[static_cast<std::size_t>(i)] += 1;
  for (double& s : share) s /= static_cast<double>(prompts);
  return share;
}

void check_shares(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(found[i] - expected[i]) <= 5 * std::sqrt(expected[i] * (1 - expected[i]) / prompts));
  }
}

}  // namespace

TEST_CASE("samples in hand: each is served as often as the definition says, ties evenly") {
  const std::vector<double> tied{0.5, 2, -1, 2, 0.5, 2};
  check_shares(shares(standard(), tied), std::vector<double>(6, 1.0 / 6));
  check_shares(shares(best_of(6), tied), {0, 1.0 / 3, 0, 1.0 / 3, 0, 1.0 / 3});
  check_shares(shares(worst_of(6), tied), {0, 0, 1, 0, 0, 0});
  check_shares(shares(order_statistic(2, 6), tied), {0.5, 0, 0, 0, 0.5, 0});
  check_shares(shares(top_of(2, 6), {1, 5, 3, 4, 2, 0}), {0, 0.5, 0, 0.5, 0, 0});
  // The fourth from above is one of the two 0.5, the three above it are the 2.
  check_shares(shares(top_of(4, 6), tied), {0.125, 0.25, 0, 0.25, 0.125, 0.25});
  double sum = 0;
  std::vector<double> softmax;
  for (const double v : tied) sum += std::exp(v / 0.7);
  for (const double v : tied) softmax.push_back(std::exp(v / 0.7) / sum);
  check_shares(shares(soft_best_of(6, 0.7), tied), softmax);
}

TEST_CASE("samples in hand: who looks at one after the other takes the first") {
  CHECK(shares(rewind_and_repeat(0.6, 4), {0.5, 0.7, 0.9, 0.7})[1] == doctest::Approx(1));
  CHECK(shares(rewind_and_repeat(1, 4), {0.5, 0.9, 0.7, 0.6})[3] == doctest::Approx(1));
  CHECK(shares(rewind_and_repeat(1, 4, unpassed::best), {0.5, 0.9, 0.7, 0.9})[1] == doctest::Approx(1));
  CHECK(shares(stopped_at(best_of(4), 0.6), {0.5, 0.7, 0.9, 0.7})[1] == doctest::Approx(1));
  CHECK(shares(stopped_at(best_of(4), 1.0), {0.5, 0.7, 0.9, 0.9})[2] == doctest::Approx(1));
  CHECK(shares(stopped_at(worst_of(3), 0.0), {1, 0, 0})[1] == doctest::Approx(1));
  std::vector<index_t> served(2);
  const std::vector<double> scores{1, 2, 3, 1, 2, 3}, thresholds{2, 9};
  choose_samples(stopped_at(best_of(3), thresholds), rows<const double>(scores.data(), 2, 3), served);
  CHECK(served == std::vector<index_t>{1, 2});
}

TEST_CASE("samples in hand: without ties, what serve takes of the same samples") {
  const std::vector<double> scores = test::normal_values<double>(60 * 5, 3);
  for (const char* name : {"best_of:5", "worst_of:5", "order_statistic:2:5", "top_of:3:5", "soft_best_of:5:0.5",
                           "rewind_and_repeat:0.4:5", "rewind_and_repeat:1.5:5:best"}) {
    CAPTURE(name);
    std::vector<index_t> served(60);
    parse_served_procedure(name).visit([&](const auto& procedure) {
      const auto compare = [&](const auto& held) {
        choose_samples(held, rows<const double>(scores.data(), 60, 5), served, 11);
        const auto model = [](span<const sample_request> asked) {
          std::vector<index_t> responses;
          for (const sample_request& one : asked) responses.push_back(one.attempt);
          return responses;
        };
        const auto reward = [&](span<const sample_request> asked, span<const index_t>) {
          std::vector<double> values;
          for (const sample_request& one : asked)
            values.push_back(scores[static_cast<std::size_t>(one.prompt * 5 + one.attempt)]);
          return values;
        };
        const auto expected = serve(held, model, reward, 60, {.seed = 11});
        for (std::size_t p = 0; p < 60; ++p) CHECK(served[p] == expected.prompts[p].response);
      };
      if constexpr (requires { procedure.visit(compare); })
        procedure.visit(compare);
      else
        compare(procedure);
    });
    std::vector<index_t> by_name(60);
    choose_samples(parse_served_procedure(name), rows<const double>(scores.data(), 60, 5), by_name, 11);
    CHECK(by_name == served);
  }
}

TEST_CASE("samples in hand: float as double, ragged as rows, another seed another choice") {
  const std::vector<double> scores = test::tied_values<double>(40 * 3, 4, 3);
  const std::vector<float> single(scores.begin(), scores.end());
  std::vector<index_t> offsets, one(40), two(40), three(40), four(40);
  for (index_t p = 0; p <= 40; ++p) offsets.push_back(3 * p);
  choose_samples(best_of(3), rows<const double>(scores.data(), 40, 3), one, 5);
  choose_samples(best_of(3), rows<const float>(single.data(), 40, 3), two, 5);
  choose_samples(best_of(3), ragged<const double>(scores, offsets), three, 5);
  choose_samples(best_of(3), rows<const double>(scores.data(), 40, 3), four, 6);
  CHECK(one == two);
  CHECK(one == three);
  CHECK(one != four);
  std::vector<index_t> none;
  choose_samples(best_of(3), rows<const double>(nullptr, 0, 3), none);
}

TEST_CASE("samples in hand: bad input names prompt and position, and nothing is written") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  std::vector<double> scores{1, 2, 3, 4, 5, 6};
  const rows<const double> two(scores.data(), 2, 3);
  std::vector<index_t> out{-7, -7};
  const auto message = [&](const auto& procedure, const auto& given, auto& to) -> std::string {
    try {
      choose_samples(procedure, given, to, 1);
    } catch (const error& e) {
      return e.what();
    }
    return "none";
  };
  CHECK(message(best_of(2), two, out) == "choose_samples: scores[0] has 3 values, but best_of:2 draws 2");
  CHECK(message(any_procedure(top_of(1, 4)), two, out) == "choose_samples: scores[0] has 3 values, but top_of:1:4 draws 4");
  CHECK(message(standard(), rows<const double>(scores.data(), 2, 0), out) == "choose_samples: scores[0] is empty");
  CHECK(message(stopped_at(best_of(2), 1.0), two, out) == "choose_samples: scores[0] has 3 values, but the procedure draws 2");
  CHECK(message(best_of_poisson(2), two, out) ==
        "choose_samples: best_of_poisson:2 draws a random number of samples: those in hand may be too few");
  CHECK(message(best_of_random({{3, 1.0}}), two, out).find("draws a random number of samples") != std::string::npos);
  CHECK(message(stopped_at(best_of_poisson(2), 1.0), two, out).find("draws a random number") != std::string::npos);
  const std::vector<double> thresholds{1, 2, 3};
  CHECK(message(stopped_at(best_of(3), thresholds), two, out).find("thresholds of stopped_at has 3 values for 2") !=
        std::string::npos);
  std::vector<index_t> three(3);
  CHECK(message(best_of(3), two, three) == "choose_samples: out has 3 values, but scores has 2 groups");
  scores[4] = nan;
  CHECK(message(best_of(3), two, out) == "choose_samples: scores[1][1] is nan, must be finite");
  scores[4] = -infinity;
  CHECK(message(soft_best_of(3, 1), two, out) == "choose_samples: scores[1][1] is -inf, must be finite");
  CHECK(out == std::vector<index_t>{-7, -7});
}
