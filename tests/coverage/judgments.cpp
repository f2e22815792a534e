// SPDX-License-Identifier: Apache-2.0
/// \file
/// Judgments of pairs: Bradley–Terry scores and length-controlled win rates.
#include <cmath>
#include <cstddef>

#include "coverage/measure.hpp"
#include "infalign/evaluation/bradley_terry.hpp"
#include "infalign/evaluation/length_controlled.hpp"

namespace infalign::coverage {
namespace {

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

/// Three policies, each pair judged `judgments` times a prompt. A share of a prompt's judgments of a pair repeats the first; a share of
/// all is a tie, in equal parts of what either side would have won.
void scores(table& to, const char* data, const double (&score)[3], int judgments, double repeated, double tied, double prior,
            int from) {
  std::vector<index_t> first, second, clusters;
  std::vector<double> outcomes;
  const bool pooled = judgments > 1;
  std::vector<promise> of{{"`bradley_terry_fit::score`", from, in_the_limit},
                          {"`bradley_terry_fit::difference`", from, in_the_limit}};
  if (pooled) of.push_back({"`score`, judgments pooled", never});
  to.add(data, of, [&](random_stream& random, int prompts, std::vector<outcome>& out) {
    first.clear(), second.clear(), clusters.clear(), outcomes.clear();
    for (index_t p = 0; p < prompts; ++p)
      for (index_t i = 0; i < 3; ++i) {
        const index_t j = (i + 1) % 3;
        const double q = logistic(score[i] - score[j]), common = random.wins(q, 1);
        for (int k = 0; k < judgments; ++k) {
          const double plain = k > 0 && random.uniform() < repeated ? common : random.wins(q, 1);
          // A tie is worth ½: so that expectations stay q, what is not tied is won more often.
          const double won = 0.5 + (q - 0.5) / (1 - tied);
          outcomes.push_back(tied == 0 ? plain : random.uniform() < tied ? 0.5 : random.wins(won, 1));
          first.push_back(i), second.push_back(j), clusters.push_back(p);
        }
      }
    try {
      const auto fit = fit_bradley_terry(3, first, second, outcomes, clusters, prior);
      out[0] = holds(fit.score(0), score[0]);
      out[1] = holds(fit.difference(0, 2), score[0] - score[2]);
      if (pooled) out[2] = holds(fit_bradley_terry(3, first, second, outcomes, {}, prior).score(0), score[0]);
    } catch (const domain_error&) {
      for (outcome& o : out) o = outcome::refused;
    }
  });
}

/// Preferences with log-odds `a + b·tanh(Δ/sd) + c·γ`: lengths differ by more than they vary, difficulties are normal.
void lengths(table& to, const char* data, double a, double b, double c, double ridge, int from) {
  double truth = 0;
  constexpr int steps = 2000;
  for (int i = 0; i < steps; ++i) truth += logistic(a + c * standard_normal_quantile((i + 0.5) / steps)) / steps;
  std::vector<double> y, longer, difficulty;
  to.add(data,
         {{"`fit_length_controlled`, `win_rate`", from, in_the_limit}, {"`fit_length_controlled`, `as_alpaca_eval`", never}},
         [&](random_stream& random, int prompts, std::vector<outcome>& out) {
           y.clear(), longer.clear(), difficulty.clear();
           for (int p = 0; p < prompts; ++p) {
             longer.push_back(random.normal() - 1);
             difficulty.push_back(random.normal());
             y.push_back(random.wins(logistic(a + b * std::tanh(longer.back()) + c * difficulty.back()), 1));
           }
           const std::vector<double> none;
           try {
             const auto fit = fit_length_controlled(y, longer, c == 0 ? none : difficulty, {}, ridge);
             out[0] = holds(fit.win_rate, truth);
             out[1] = holds(fit.as_alpaca_eval, truth);
           } catch (const domain_error&) {
             out[0] = out[1] = outcome::refused;
           }
         });
}

}  // namespace

void judgments(table& to) {
  scores(to, "log-odds 0.5, 0, -0.5, one judgment a pair", {0.5, 0, -0.5}, 1, 0, 0, 0, 20);
  scores(to, "the same, 30 % tied", {0.5, 0, -0.5}, 1, 0, 0.3, 0, 20);
  scores(to, "the same, four judgments, three of four alike", {0.5, 0, -0.5}, 4, 0.75, 0, 0, 20);
  scores(to, "log-odds 2, 0, -2, one judgment a pair", {2, 0, -2}, 1, 0, 0, 0, 200);
  scores(to, "log-odds 2, 0, -2, a prior of 1", {2, 0, -2}, 1, 0, 0, 1, 200);
  lengths(to, "half of the wins at equal lengths", 0, -1.5, 0, 0, 200);
  lengths(to, "the same, with difficulties", 0, -1.5, 0.5, 0, 200);
  lengths(to, "5 % of the wins at equal lengths", -3, -1.5, 0, 0, 2000);
  lengths(to, "half of the wins, a ridge of 1", 0, -1.5, 0.5, 1, 200);
}

}  // namespace infalign::coverage
