// SPDX-License-Identifier: Apache-2.0
/// \file
/// Scores of many policies from judgments of pairs: Bradley–Terry, or Elo, with intervals that allow for clusters and ties.
///
/// \code
/// const auto fit = infalign::fit_bradley_terry(policies, first, second, outcomes, prompts);
/// fit.elo(3);                 // 1000 for an average policy, with its error
/// fit.difference(3, 5);       // in log-odds
/// \endcode
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/statistics/detail/cholesky.hpp"
#include "infalign/statistics/estimate.hpp"

namespace infalign {

/// Scores s with `P(i beats j) = 1/(1 + e^{s_j - s_i})` and a mean of 0.
class bradley_terry_fit {
 public:
  bradley_terry_fit(std::vector<double> scores, std::vector<double> covariance, index_t clusters)
      : scores_(std::move(scores)), covariance_(std::move(covariance)), clusters_(clusters) {}

  [[nodiscard]] index_t policies() const { return static_cast<index_t>(scores_.size()); }
  /// The score of a policy above the average of all, in log-odds.
  [[nodiscard]] INFALIGN_KEYED estimate score(index_t i) const { return make(scores_[at(i)], variance(i, i)); }
  /// `score(i) - score(j)`; its error is not that of two scores, which move together.
  [[nodiscard]] INFALIGN_KEYED estimate difference(index_t i, index_t j) const {
    return make(scores_[at(i)] - scores_[at(j)], variance(i, i) + variance(j, j) - 2 * variance(i, j));
  }
  /// `1000 + 400/log 10·score`: on Elo's scale a difference of 400 means odds of ten to one.
  [[nodiscard]] INFALIGN_KEYED estimate elo(index_t i) const {
    constexpr double unit = 173.71779276130071;
    return make(1000 + unit * scores_[at(i)], unit * unit * variance(i, i));
  }
  /// The probability that policy i beats policy j, a tie counting ½. Its `interval` is that of the difference, mapped.
  [[nodiscard]] INFALIGN_KEYED double win_rate(index_t i, index_t j) const {
    return 1 / (1 + std::exp(scores_[at(j)] - scores_[at(i)]));
  }

 private:
  [[nodiscard]] std::size_t at(index_t i) const { return static_cast<std::size_t>(i); }
  [[nodiscard]] double variance(index_t i, index_t j) const { return covariance_[at(i) * scores_.size() + at(j)]; }
  [[nodiscard]] INFALIGN_KEYED estimate make(double value, double variance) const {
    return {value, clusters_ > 1 ? std::sqrt(std::max(variance, 0.0)) : infinity<double>, clusters_};
  }
  std::vector<double> scores_;
  std::vector<double> covariance_;
  index_t clusters_;
};

namespace detail {

/// All comparisons of a pair together: how many, and how much of them the first won.
struct pair_total {
  std::size_t first, second;
  double count = 0, won = 0;
};

INFALIGN_KEYED inline void check_pairs_of(std::string_view function, index_t policies, span<const index_t> first,
                                          span<const index_t> second, span<const double> outcomes,
                                          span<const index_t> clusters) {
  expects<domain_error>(policies >= 2, function, "policies is ", policies, ", must be at least 2");
  expects<shape_error>(!first.empty(), function, "first is empty");
  expects<shape_error>(second.size() == first.size() && outcomes.size() == first.size(), function, "second has ", second.size(),
                       " values and outcomes ", outcomes.size(), ", first has ", first.size());
  expects<shape_error>(clusters.empty() || clusters.size() == first.size(), function, "clusters has ", clusters.size(),
                       " elements, first has ", first.size());
  for (index_t c = 0; c < first.size(); ++c) {
    for (const index_t i : {first[c], second[c]})
      expects<domain_error>(i >= 0 && i < policies, function, "comparison ", c, " is of policy ", i, ", must be in 0 … ",
                            policies - 1);
    expects<domain_error>(first[c] != second[c], function, "comparison ", c, " is of policy ", first[c], " with itself");
    expects<domain_error>(outcomes[c] >= 0 && outcomes[c] <= 1, function, "outcomes[", c, "] is ", outcomes[c],
                          ", must be in [0, 1]");
  }
}

/// Whether every policy can be reached from the first over pairs that `leads` says lead from one to the other; if not, one that cannot.
template <class Leads>
INFALIGN_KEYED std::size_t unreached(std::size_t n, const std::vector<pair_total>& pairs, const Leads& leads) {
  std::vector<std::vector<std::size_t>> next(n);
  for (const pair_total& p : pairs) {
    if (leads(p.won, p.count)) next[p.first].push_back(p.second);
    if (leads(p.count - p.won, p.count)) next[p.second].push_back(p.first);
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

/// Errors: `domain_error` where no finite scores are the likeliest: some policies never win against the others, or never lose.
INFALIGN_KEYED inline void expects_finite_scores(std::string_view function, std::size_t n,
                                                 const std::vector<pair_total>& pairs) {
  const auto compared = [](double, double count) { return count > 0; };
  const auto won = [](double wins, double) { return wins > 0; };
  const auto lost = [](double wins, double count) { return count - wins > 0; };
  const std::size_t apart = unreached(n, pairs, compared);
  expects<domain_error>(apart == n, function, "policy ", apart, " is compared with policy 0 not even by way of others");
  for (const std::size_t alone : {unreached(n, pairs, won), unreached(n, pairs, lost)})
    expects<domain_error>(alone == n, function, "policies fall in two parts of which one never beats the other (0 and ", alone,
                          " are in different ones): no finite scores fit; a prior above 0 makes them finite");
}

/// Gradient and curvature of the likelihood by the scores. The curvature has `1/n` added everywhere, which fixes the mean of the scores.
struct pair_system {
  std::vector<double> gradient, curvature;
  double likelihood = 0;

  INFALIGN_KEYED pair_system(const std::vector<double>& scores, const std::vector<pair_total>& pairs, double prior)
      : gradient(scores.size()), curvature(scores.size() * scores.size(), 1.0 / static_cast<double>(scores.size())) {
    const std::size_t n = scores.size();
    const auto log_logistic = [](double x) { return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); };
    for (const pair_total& p : pairs) {
      const double d = scores[p.first] - scores[p.second], q = 1 / (1 + std::exp(-d)), w = p.count * q * (1 - q);
      likelihood += p.won * log_logistic(d) + (p.count - p.won) * log_logistic(-d);
      gradient[p.first] += p.won - p.count * q;
      gradient[p.second] -= p.won - p.count * q;
      curvature[p.first * n + p.first] += w;
      curvature[p.second * n + p.second] += w;
      curvature[p.first * n + p.second] -= w;
      curvature[p.second * n + p.first] -= w;
    }
    for (std::size_t i = 0; i < n && prior > 0; ++i) {  // `prior` ties against a policy of score 0
      const double q = 1 / (1 + std::exp(-scores[i]));
      likelihood += 0.5 * prior * (log_logistic(scores[i]) + log_logistic(-scores[i]));
      gradient[i] += prior * (0.5 - q);
      curvature[i * n + i] += prior * q * (1 - q);
    }
  }
};

/// Newton's method, halved where it goes too far; the likelihood is concave.
INFALIGN_KEYED inline std::vector<double> likeliest_scores(std::size_t n, const std::vector<pair_total>& pairs, double prior) {
  std::vector<double> scores(n, 0.0);
  pair_system at(scores, pairs, prior);
  for (int step = 0; step < 100; ++step) {
    std::vector<double> change = at.gradient;
    cholesky(at.curvature, n).solve(change.data());
    double largest = 0;
    for (const double x : change) largest = std::max(largest, std::abs(x));
    if (largest < 1e-11) break;
    double scale = largest > 4 ? 4 / largest : 1;
    for (int halving = 0;; ++halving, scale /= 2) {
      std::vector<double> next(n);
      for (std::size_t i = 0; i < n; ++i) next[i] = scores[i] + scale * change[i];
      pair_system there(next, pairs, prior);
      if (there.likelihood >= at.likelihood || halving > 40) {
        scores = std::move(next);
        at = std::move(there);
        break;
      }
    }
  }
  double mean = 0;
  for (const double s : scores) mean += s / static_cast<double>(n);
  for (double& s : scores) s -= mean;
  return scores;
}

}  // namespace detail

/// The Bradley–Terry scores that make the judgments likeliest, with a covariance that rests on clusters alone (the sandwich): prompts
/// whose judgments are alike, or a model that fits no better than models do, leave the intervals right.
///
/// A tie counts as half a win to either side, and so may any outcome in [0, 1] from a judge that gives probabilities. The mean score is
/// 0. Where a policy won or lost all its comparisons no finite score fits; `prior` > 0 adds that many ties against a policy of score 0 to
/// every policy, for example 1.
///
/// - Shapes: `first`, `second` and `outcomes` C ≥ 1 comparisons, policies numbered from 0, the outcome for the first; `clusters` empty, or
///   C ids, for example the prompts, which may be any integers. Host memory.
/// - Cost: sorting, then about ten systems of `policies` unknowns: 200 policies on 805 prompts take a tenth of a second.
/// - Intervals need some dozens of clusters; `count` is their number. One cluster has standard error +inf.
/// - Errors: `shape_error`; `domain_error` for policies that are none, outcomes outside [0, 1] or NaN, a negative prior, comparisons that
///   connect not all policies, or scores that would be infinite.
/// - Source: Bradley and Terry, Biometrika 39 (1952); existence: Ford, American Mathematical Monthly 64 (1957); sandwich: Liang and Zeger,
///   Biometrika 73 (1986); for language models Chiang et al., arXiv 2403.04132.
[[nodiscard]] INFALIGN_KEYED inline bradley_terry_fit fit_bradley_terry(index_t policies, span<const index_t> first,
                                                                        span<const index_t> second, span<const double> outcomes,
                                                                        span<const index_t> clusters = {}, double prior = 0) {
  constexpr const char* function = "fit_bradley_terry";
  detail::check_pairs_of(function, policies, first, second, outcomes, clusters);
  expects<domain_error>(prior >= 0 && prior < infinity<double>, function, "prior is ", prior,
                        ", must be finite and not negative");
  const auto n = static_cast<std::size_t>(policies);
  std::map<std::pair<std::size_t, std::size_t>, detail::pair_total> seen;
  for (index_t c = 0; c < first.size(); ++c) {
    const auto i = static_cast<std::size_t>(first[c]), j = static_cast<std::size_t>(second[c]);
    auto& total =
        seen.try_emplace({std::min(i, j), std::max(i, j)}, detail::pair_total{std::min(i, j), std::max(i, j)}).first->second;
    total.count += 1;
    total.won += i < j ? outcomes[c] : 1 - outcomes[c];
  }
  std::vector<detail::pair_total> pairs;
  for (const auto& entry : seen) pairs.push_back(entry.second);
  if (prior == 0) detail::expects_finite_scores(function, n, pairs);
  std::vector<double> scores = detail::likeliest_scores(n, pairs, prior);
  // The sum over clusters of the products of their gradients.
  std::map<index_t, std::map<std::size_t, double>> gradients;
  for (index_t c = 0; c < first.size(); ++c) {
    const auto i = static_cast<std::size_t>(first[c]), j = static_cast<std::size_t>(second[c]);
    const double surprise = outcomes[c] - 1 / (1 + std::exp(scores[j] - scores[i]));
    auto& own = gradients[clusters.empty() ? c : clusters[c]];
    own[i] += surprise;
    own[j] -= surprise;
  }
  std::vector<double> products(n * n, 0.0);
  for (const auto& cluster : gradients)
    for (const auto& [i, x] : cluster.second)
      for (const auto& [j, y] : cluster.second) products[i * n + j] += x * y;
  const auto g = static_cast<double>(gradients.size());
  for (double& x : products) x *= g > 1 ? g / (g - 1) : 0;
  const detail::pair_system at(scores, pairs, prior);
  return {std::move(scores), detail::cholesky(at.curvature, n).sandwich(std::move(products)),
          static_cast<index_t>(gradients.size())};
}

}  // namespace infalign
