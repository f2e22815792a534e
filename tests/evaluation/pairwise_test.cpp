// SPDX-License-Identifier: Apache-2.0
/// \file
/// Judgments of pairs: Bradley–Terry scores and length-controlled win rates, against closed forms, scipy, and published figures.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "evaluation/alpaca_eval_lengths.hpp"
#include "infalign/evaluation/bradley_terry.hpp"
#include "infalign/evaluation/length_controlled.hpp"
#include "infalign/statistics/summary.hpp"
#include "support/samples.hpp"

using infalign::estimate;
using infalign::fit_bradley_terry;
using infalign::fit_length_controlled;
using infalign::index_t;
namespace test = infalign::test;

namespace {

struct judgments {
  std::vector<index_t> first, second, clusters;
  std::vector<double> outcomes;
  void add(index_t a, index_t b, double outcome, index_t cluster) {
    first.push_back(a);
    second.push_back(b);
    outcomes.push_back(outcome);
    clusters.push_back(cluster);
  }
  [[nodiscard]] infalign::bradley_terry_fit fit(index_t policies, double prior = 0) const {
    return fit_bradley_terry(policies, first, second, outcomes, clusters, prior);
  }
};

}  // namespace

TEST_CASE("two policies: the score is the log-odds, the error that of a share, a tie half a win") {
  judgments of;
  for (index_t i = 0; i < 40; ++i)
    of.add(i % 2, 1 - i % 2, i < 28 ? (i % 2 == 0 ? 1 : 0) : i < 36 ? (i % 2 == 0 ? 0 : 1) : 0.5, i);
  const auto fit = of.fit(2);
  const double share = (28 + 2) / 40.0;
  const estimate difference = fit.difference(0, 1);
  CHECK(std::abs(difference.value - std::log(share / (1 - share))) <= 1e-10);
  // By the delta method, with Bessel's correction: sd of the outcomes over √n·p(1-p).
  const double variance = (28 * (1 - share) * (1 - share) + 8 * share * share + 4 * (0.5 - share) * (0.5 - share)) / 39;
  CHECK(std::abs(difference.standard_error - std::sqrt(variance / 40) / (share * (1 - share))) <= 1e-10);
  CHECK(std::abs(fit.score(0).value - difference.value / 2) <= 1e-12);
  CHECK(std::abs(fit.win_rate(0, 1) - share) <= 1e-12);
  CHECK(std::abs(fit.elo(0).value - fit.elo(1).value - 400 * std::log10(share / (1 - share))) <= 1e-8);
  CHECK(difference.count == 40);
}

TEST_CASE("at the fit every policy wins as often as its scores expect, and a cycle has no best") {
  std::mt19937_64 generator(2);
  judgments of;
  const index_t policies = 7;
  std::vector<double> won(static_cast<std::size_t>(policies));
  for (index_t c = 0; c < 400; ++c) {
    const auto i = static_cast<index_t>(generator() % 7),
               j = static_cast<index_t>((static_cast<std::uint64_t>(i) + 1 + generator() % 6) % 7);
    const double outcome = static_cast<double>(generator() % 3) / 2;
    of.add(i, j, outcome, c / 4);
    won[static_cast<std::size_t>(i)] += outcome;
    won[static_cast<std::size_t>(j)] += 1 - outcome;
  }
  const auto fit = of.fit(policies);
  std::vector<double> expected(won.size());
  double mean = 0;
  for (index_t i = 0; i < policies; ++i) mean += fit.score(i).value;
  for (std::size_t c = 0; c < of.first.size(); ++c) {
    expected[static_cast<std::size_t>(of.first[c])] += fit.win_rate(of.first[c], of.second[c]);
    expected[static_cast<std::size_t>(of.second[c])] += fit.win_rate(of.second[c], of.first[c]);
  }
  for (std::size_t i = 0; i < won.size(); ++i) CHECK(std::abs(won[i] - expected[i]) <= 1e-8);
  CHECK(std::abs(mean) <= 1e-12);
  CHECK(fit.score(0).count == 100);
  judgments cycle;
  for (index_t c = 0; c < 30; ++c) cycle.add(c % 3, (c + 1) % 3, c % 9 < 6 ? 1 : 0, c);
  for (index_t i = 0; i < 3; ++i) CHECK(std::abs(cycle.fit(3).score(i).value) <= 1e-10);
}

// A published pitfall: judgments of one prompt are pooled as if they were independent. Here each is judged eight times.
TEST_CASE("intervals by clusters hold the truth, and those of pooled judgments do not") {
  std::mt19937_64 generator(4);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11) * 0x1.0p-53; };
  const double scores[] = {0.5, 0, -0.5};
  int held = 0, pooled_held = 0, total = 0;
  const int data_sets = test::draws(300);
  for (int r = 0; r < data_sets; ++r) {
    judgments of, pooled;
    index_t number = 0;
    for (index_t p = 0; p < 60; ++p)
      for (index_t i = 0; i < 3; ++i) {
        const index_t j = (i + 1) % 3;
        // One outcome a prompt and pair, which the judge repeats in three of four cases.
        const double q = 1 / (1 + std::exp(scores[j] - scores[i])), common = uniform() < q ? 1 : 0;
        for (int k = 0; k < 8; ++k) {
          const double outcome = uniform() < 0.75 ? common : uniform() < q ? 1 : 0;
          of.add(i, j, outcome, p);
          pooled.add(i, j, outcome, number++);
        }
      }
    const auto fit = of.fit(3), wrong = pooled.fit(3);
    for (index_t i = 0; i < 3; ++i) {
      const auto a = fit.score(i).interval(), b = wrong.score(i).interval();
      held += a.low <= scores[i] && scores[i] <= a.high ? 1 : 0;
      pooled_held += b.low <= scores[i] && scores[i] <= b.high ? 1 : 0;
      ++total;
    }
  }
  const double error = std::sqrt(0.95 * 0.05 / data_sets);
  CHECK(static_cast<double>(held) / total >= 0.94 - 3 * error);
  if (data_sets >= 100) CHECK(static_cast<double>(pooled_held) / total <= 0.8);
}

TEST_CASE("scores that would be infinite are refused, or a prior makes them finite") {
  judgments of;
  for (index_t c = 0; c < 6; ++c) of.add(0, 1, static_cast<double>(c % 2), c), of.add(c % 2, 2, 1, c);
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { (void)of.fit(3); }) ==
        "fit_bradley_terry: policies fall in two parts of which one never beats the other (0 and 2 are in different ones): no "
        "finite "
        "scores fit; a prior above 0 makes them finite");
  CHECK(message([&] { (void)of.fit(4); }) == "fit_bradley_terry: policy 3 is compared with policy 0 not even by way of others");
  const auto fit = of.fit(3, 1);
  CHECK(fit.score(2).value < fit.score(0).value - 1);
  CHECK(fit.score(2).value > -10);
  of.add(0, 0, 1, 9);
  CHECK(message([&] { (void)of.fit(3); }) == "fit_bradley_terry: comparison 12 is of policy 0 with itself");
  of.second.back() = 5;
  CHECK(message([&] { (void)of.fit(3); }) == "fit_bradley_terry: comparison 12 is of policy 5, must be in 0 … 2");
  of.second.back() = 1;
  of.outcomes.back() = 1.5;
  CHECK(message([&] { (void)of.fit(3); }) == "fit_bradley_terry: outcomes[12] is 1.5, must be in [0, 1]");
}

// scipy 1.17.1 (make_bradley_terry.py): the largest likelihood with `prior` ties of each policy against the mean score.
TEST_CASE("scores with a prior are scipy's, and their mean is 0") {
  judgments of;
  const auto judged = [&](index_t a, index_t b, int wins, int ties, int losses) {
    for (int k = 0; k < wins + ties + losses; ++k) of.add(a, b, k < wins ? 1 : k < wins + ties ? 0.5 : 0, k);
  };
  judged(0, 1, 7, 0, 3);
  judged(1, 2, 12, 0, 0);
  judged(0, 3, 5, 0, 0);  // policy 3 loses everything
  judged(2, 3, 4, 0, 0);
  judged(0, 4, 1, 1, 2);
  const auto check = [&](double prior, const std::vector<double>& expected) {
    const auto fit = of.fit(5, prior);
    double mean = 0;
    for (index_t i = 0; i < 5; ++i) {
      CHECK(std::abs(fit.score(i).value - expected[static_cast<std::size_t>(i)]) <= 1e-10);
      mean += fit.score(i).value / 5;
    }
    CHECK(std::abs(mean) <= 1e-13);
  };
  check(1, {1.745520074645, 1.174219047230, -1.424458940642, -3.412032485618, 1.916752304385});
  check(1e-4, {7.234211084328, 6.386951205736, -5.129860623732, -16.236295819175, 7.744994152844});
  // Between two policies, one without a judgment is in the middle.
  judgments two;
  for (index_t c = 0; c < 10; ++c) two.add(0, 2, c < 8 ? 1 : 0, c);
  CHECK(two.fit(3, 1).score(0).value > 0.5);
  CHECK(std::abs(two.fit(3, 1).score(1).value) <= 1e-12);
}

TEST_CASE("the scores of a policy that always wins solve their equation for any prior") {
  for (const double wins : {1.0, 1000.0})
    for (const double prior : {1e-9, 1e-5, 0.1, 1.0, 50.0, 1e6}) {
      CAPTURE(wins);
      CAPTURE(prior);
      judgments of;
      for (index_t c = 0; c < static_cast<index_t>(wins); ++c) of.add(0, 1, 1, c);
      const auto fit = of.fit(2, prior);
      const double d = fit.difference(0, 1).value;
      // The derivative of wins·log σ(d) + 2·prior/2·(log σ(d/2) + log σ(-d/2)): what the judgments pull, and what the prior does.
      const double judged = wins / (1 + std::exp(d)), pulled = 0.5 * prior * std::tanh(d / 4);
      CHECK(std::abs(judged / pulled - 1) <= 1e-9);
      CHECK(std::abs(fit.win_rate(0, 1) - 1 / (1 + std::exp(-d))) <= 1e-15);
    }
}

TEST_CASE("scores so far apart that no curvature is left are an error, not a number") {
  judgments of;
  of.add(0, 1, 1e-20, 0);  // a log-odds of 46
  of.add(0, 1, 1e-20, 1);
  const auto message = [&](double prior) { return test::message_of<infalign::domain_error>([&] { (void)of.fit(2, prior); }); };
  CHECK(message(0) == "fit_bradley_terry: scores are too far apart: a prior above 0 brings them together");
  CHECK(message(1e-25) == "fit_bradley_terry: scores are too far apart: a larger prior brings them together");
  CHECK(of.fit(2, 1).score(1).value < 3);
  judgments near;
  near.add(0, 1, 1e-9, 0);
  CHECK(std::abs(near.fit(2).difference(1, 0).value - std::log(1e9 - 1)) <= 1e-6);
}

TEST_CASE("which policies no finite scores fit") {
  judgments of;
  of.add(0, 1, 0.5, 0);
  of.add(2, 3, 0.5, 0);
  const auto found = [&] { return infalign::separated_policies(4, of.first, of.second, of.outcomes); };
  REQUIRE(found());
  CHECK(found()->first == 0);
  CHECK(found()->second == 2);
  CHECK(!found()->compared);
  of.add(1, 3, 1, 0);
  REQUIRE(found());
  CHECK(found()->second == 2);
  CHECK(found()->compared);
  of.add(2, 0, 1, 0);
  CHECK(!found());
}

// A published pitfall: ties counted as losses of both. The better policy may then look like the worse one.
TEST_CASE("ties as losses turn the order of two policies round") {
  judgments half, lost;
  // Policy 1 draws with policy 0 eight times and beats it twice; policy 2 beats policy 0 four times and loses six times.
  for (index_t c = 0; c < 10; ++c) {
    half.add(1, 0, c < 8 ? 0.5 : 1, c);
    half.add(2, 0, c < 4 ? 1 : 0, c);
    lost.add(1, 0, c < 8 ? 0 : 1, c);
    lost.add(2, 0, c < 4 ? 1 : 0, c);
  }
  CHECK(half.fit(3).difference(1, 2).value > 0);
  CHECK(lost.fit(3).difference(1, 2).value < 0);
}

// The leaderboard of AlpacaEval 2 says 6.937294379677018 ± 0.7869665731853178 for gemma-7b-it (weighted); the length-controlled values
// are scipy's, of the same regression without the difficulties of instructions, which are not public (make_alpaca_eval_lengths.py).
TEST_CASE("AlpacaEval's weighted win rate to the published digits, and the length-controlled fit to scipy's") {
  std::vector<double> preferences, longer;
  for (const auto& [preference, characters] : alpaca_eval_lengths) {
    preferences.push_back(preference - 1);
    longer.push_back(characters);
  }
  infalign::summary plain;
  for (const double p : preferences) plain.add(p);
  CHECK(std::abs(100 * estimate_of(plain).value - 6.937294379677018) <= 1e-12);
  CHECK(std::abs(100 * estimate_of(plain).standard_error - 0.7869665731853178) <= 1e-12);
  const auto fit = fit_length_controlled(preferences, longer);
  CHECK(std::abs(fit.of_length - -1.54271855) <= 2e-6);
  CHECK(std::abs(fit.of_policy - -1.90337063) <= 2e-6);
  CHECK(std::abs(fit.win_rate.value - 0.12972746) <= 2e-7);
  CHECK(fit.as_alpaca_eval.standard_error <= 1e-15);
  CHECK(fit.win_rate.standard_error > estimate_of(plain).standard_error);
}

TEST_CASE("a policy that wins by length alone has half of the wins at equal lengths, within its interval") {
  std::mt19937_64 generator(5);
  std::normal_distribution<double> normal;
  const auto uniform = [&] { return static_cast<double>(generator() >> 11) * 0x1.0p-53; };
  int held = 0;
  double mean = 0, error = 0, squares = 0;
  const int data_sets = test::draws(300);
  for (int r = 0; r < data_sets; ++r) {
    std::vector<double> y, longer, difficulty;
    for (int i = 0; i < 300; ++i) {
      const double delta = 100 * (normal(generator) - 1);  // the policy's responses are longer
      longer.push_back(delta);
      difficulty.push_back(normal(generator));
      y.push_back(uniform() < 1 / (1 + std::exp(1.5 * std::tanh(delta / 100) + 0.5 * difficulty.back())) ? 1 : 0);
    }
    const auto fit = fit_length_controlled(y, longer, difficulty);
    const auto i = fit.win_rate.interval();
    held += i.low <= 0.5 && 0.5 <= i.high ? 1 : 0;
    mean += fit.win_rate.value / data_sets;
    squares += fit.win_rate.value * fit.win_rate.value / data_sets;
    error += fit.win_rate.standard_error / data_sets;
    CHECK(std::abs(fit.of_difficulty + 0.5) <= 1);
  }
  const double sd = std::sqrt(squares - mean * mean);
  CHECK(std::abs(mean - 0.5) <= 4 * sd / std::sqrt(data_sets) + 0.003);  // the standard deviation of lengths is estimated too
  CHECK(static_cast<double>(held) / data_sets >= 0.94 - 3 * std::sqrt(0.95 * 0.05 / data_sets));
  if (data_sets >= 100) CHECK(std::abs(error / sd - 1) <= 4 / std::sqrt(2.0 * data_sets) + 0.02);
  // Without a difference there is nothing to control for; where all is won no coefficients fit.
  const std::vector<double> same{3, 3, 3, 3}, mixed{1, 0, 1, 1}, all{1, 1, 1, 1};
  CHECK(std::abs(fit_length_controlled(mixed, same).win_rate.value - 0.75) <= 1e-12);
  // ¼, the error of a mean of four, over 1 - leverage.
  CHECK(std::abs(fit_length_controlled(mixed, same).win_rate.standard_error - 1.0 / 3) <= 1e-12);
  CHECK(fit_length_controlled(all, same, {}, {}, 1).win_rate.value < 1);
  // Nor where the mean of equal lengths is rounded: 0.1 is no multiple of a third of it.
  for (const double length : {0.1, -1e-300, 1e300, 0.0}) {
    const std::vector<double> equal(7, length), won{1, 0, 1, 1, 0, 1, 1};
    const auto plain = fit_length_controlled(won, equal);
    CHECK(plain.of_length == 0);
    CHECK(std::abs(plain.win_rate.value - 5.0 / 7) <= 1e-12);
    CHECK(plain.win_rate.standard_error > 0);
  }
  // The unit of lengths does not matter, whatever it is.
  const std::vector<double> lengths{3, -1, 4, 1, -5, 9}, judged{0, 1, 0, 1, 1, 0.5};
  const auto usual = fit_length_controlled(judged, lengths, {}, {}, 0.1);
  for (const double unit : {1e-305, 1e305}) {
    std::vector<double> others = lengths;
    for (double& length : others) length *= unit;
    CHECK(std::abs(fit_length_controlled(judged, others, {}, {}, 0.1).win_rate.value - usual.win_rate.value) <= 1e-13);
  }
  const auto message = [](auto&& call) { return test::message_of<infalign::error>(call); };
  CHECK(message([&] { (void)fit_length_controlled(all, same); }) ==
        "fit_length_controlled: no finite coefficients fit these preferences: a ridge above 0 makes them finite");
  CHECK(message([&] {
          (void)fit_length_controlled(std::vector<double>{0, 2}, std::vector<double>{0, 1});
        }) == "fit_length_controlled: preferences[1] is 2, must be in [0, 1]");
}

// The difficulty acts by its square, so that the model is wrong: the sandwich is right all the same.
TEST_CASE("the error of a length-controlled win rate is the jackknife's over refits") {
  std::mt19937_64 generator(8);
  std::normal_distribution<double> normal;
  std::vector<double> y, longer, difficulty;
  for (int i = 0; i < 150; ++i) {
    longer.push_back(50 * normal(generator));
    difficulty.push_back(normal(generator) + 0.7);
    const double x = 1.5 * difficulty.back() * difficulty.back() - 1.5;
    y.push_back(1 / (1 + std::exp(-x)));
  }
  /// The error that is reported over that of the jackknife, of the first prompts.
  const auto ratio = [&](std::size_t prompts) {
    const auto of = [&](std::size_t without) {
      std::vector<double> columns[3];
      for (std::size_t i = 0; i < prompts; ++i)
        if (i != without) columns[0].push_back(y[i]), columns[1].push_back(longer[i]), columns[2].push_back(difficulty[i]);
      return fit_length_controlled(columns[0], columns[1], columns[2]).win_rate;
    };
    infalign::summary left_out;
    for (std::size_t i = 0; i < prompts; ++i) left_out.add(of(i).value);
    const auto n = static_cast<double>(prompts);
    return of(prompts).standard_error / std::sqrt((n - 1) / n * left_out.m2);
  };
  CHECK(std::abs(ratio(150) - 1) <= 0.05);
  // Two prompts and two coefficients: nothing is known of the error, by clusters neither.
  const std::vector<double> two{0.2, 0.7}, lengths{1, 3};
  const std::vector<index_t> ids{1, 2};
  CHECK(fit_length_controlled(two, lengths).win_rate.standard_error == infalign::infinity<double>);
  CHECK(fit_length_controlled(two, lengths, {}, ids).win_rate.interval().high == 1);
}
