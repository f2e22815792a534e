// SPDX-License-Identifier: Apache-2.0
/// \file
/// The likelihood of judgments of pairs under scores, its largest value, and whether it has one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/statistics/detail/cholesky.hpp"

namespace infalign::detail {

/// All comparisons of a pair together: how many, and how many of them either won, a tie being half a win.
struct pair_total {
  std::size_t first, second;
  double won = 0, lost = 0;

  [[nodiscard]] double count() const { return won + lost; }
};

/// `1/(1 + e^{-x})`. Of a large x, `logistic(-x)` has the digits that `1 - logistic(x)` lost.
INFALIGN_KEYED inline double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

/// Whether every policy can be reached from the first over pairs that `leads(won, lost)` says lead from one to the other; if not, one
/// that cannot, otherwise n.
template <class Leads>
INFALIGN_KEYED std::size_t unreached(std::size_t n, const std::vector<pair_total>& pairs, const Leads& leads) {
  std::vector<std::vector<std::size_t>> next(n);
  for (const pair_total& p : pairs) {
    if (leads(p.won, p.lost)) next[p.first].push_back(p.second);
    if (leads(p.lost, p.won)) next[p.second].push_back(p.first);
  }
  std::vector<char> seen(n, 0);
  std::vector<std::size_t> open{0};
  seen[0] = 1;
  while (!open.empty()) {
    const std::size_t i = open.back();
    open.pop_back();
    for (const std::size_t j : next[i])
      if (seen[j] == 0) seen[j] = 1, open.push_back(j);
  }
  return static_cast<std::size_t>(std::find(seen.begin(), seen.end(), 0) - seen.begin());
}

/// Gradient and curvature of the log-likelihood by the scores. Neither changes where all scores are shifted, so the curvature has `1/n`
/// added everywhere, which fixes their mean.
struct pair_system {
  std::vector<double> gradient, curvature;

  INFALIGN_KEYED pair_system(const std::vector<double>& scores, const std::vector<pair_total>& pairs, double prior)
      : gradient(scores.size()), curvature(scores.size() * scores.size(), 1.0 / static_cast<double>(scores.size())) {
    const std::size_t n = scores.size();
    for (const pair_total& p : pairs) {
      const double d = scores[p.first] - scores[p.second], q = logistic(d), r = logistic(-d), w = p.count() * q * r;
      gradient[p.first] += p.won * r - p.lost * q;
      gradient[p.second] -= p.won * r - p.lost * q;
      curvature[p.first * n + p.first] += w;
      curvature[p.second * n + p.second] += w;
      curvature[p.first * n + p.second] -= w;
      curvature[p.second * n + p.first] -= w;
    }
    if (prior > 0) add_prior(scores, prior);
  }

 private:
  /// `prior` ties of every policy against the mean score m: `prior/2·Σ_i (log σ(s_i - m) + log σ(m - s_i))`. With `D` the diagonal of
  /// `prior·σ'(s_i - m)` and `C = I - 11'/n`, which takes the mean out, the curvature is `C·D·C`.
  INFALIGN_KEYED void add_prior(const std::vector<double>& scores, double prior) {
    const std::size_t n = scores.size();
    const auto size = static_cast<double>(n);
    double mean = 0, pull = 0, all = 0;
    for (const double s : scores) mean += s / size;
    std::vector<double> pulls, weights;
    for (const double s : scores) {
      const double q = logistic(s - mean), r = logistic(mean - s);
      pulls.push_back(0.5 * prior * (r - q));
      weights.push_back(prior * q * r);
      pull += pulls.back() / size;
      all += weights.back() / (size * size);
    }
    for (std::size_t i = 0; i < n; ++i) {
      gradient[i] += pulls[i] - pull;
      curvature[i * n + i] += weights[i];
      for (std::size_t j = 0; j < n; ++j) curvature[i * n + j] += all - (weights[i] + weights[j]) / size;
    }
  }
};

[[noreturn]] INFALIGN_KEYED inline void raise_too_far_apart(std::string_view function, double prior) {
  raise<domain_error>(function, "scores are too far apart: a ", prior > 0 ? "larger prior" : "prior above 0",
                      " brings them together");
}

/// The factor of the curvature. Errors: `domain_error` if it is not positive definite.
INFALIGN_KEYED inline cholesky factor_of(std::string_view function, const pair_system& at, double prior) {
  cholesky factor(at.curvature, at.gradient.size());
  if (!factor.is_positive()) raise_too_far_apart(function, prior);
  return factor;
}

/// Newton's method, with steps of `log(1 + r)/r`, r being the largest change of a log-odds in the whole step. Along a line every term has
/// `|f'''| <= r·|f''|`, so its curvature grows by at most `e^{rt}`, and up to there the likelihood grows: it converges from anywhere.
INFALIGN_KEYED inline std::vector<double> likeliest_scores(std::string_view function, std::size_t n,
                                                           const std::vector<pair_total>& pairs, double prior) {
  std::vector<double> scores(n, 0.0);
  for (int step = 0; step < 2000; ++step) {
    const pair_system at(scores, pairs, prior);
    std::vector<double> change = at.gradient;
    factor_of(function, at, prior).solve(change.data());
    double mean = 0, largest = 0;
    for (const double x : change) mean += x / static_cast<double>(n);
    for (double& x : change) x -= mean;
    for (const pair_total& p : pairs) largest = std::max(largest, std::abs(change[p.first] - change[p.second]));
    for (const double x : change) largest = std::max(largest, prior > 0 ? std::abs(x) : 0);
    const double scale = largest > 0 ? std::log1p(largest) / largest : 1;
    for (std::size_t i = 0; i < n; ++i) scores[i] += scale * change[i];
    if (largest < 1e-7) return scores;  // the step after this one would be its square
  }
  raise_too_far_apart(function, prior);
}

}  // namespace infalign::detail
