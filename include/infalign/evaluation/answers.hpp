// SPDX-License-Identifier: Apache-2.0
/// \file
/// Majority voting and consensus from counts of answers: maj@k and cons@k of one prompt, exactly and without drawing.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "infalign/core/binomial.hpp"
#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

namespace detail {

/// `log n!`
INFALIGN_KEYED inline double log_factorial(index_t n) {
  if (n < 1) return 0;
  const auto x = static_cast<double>(n);
  return (x + 0.5) * std::log(x) - x + 0.9189385332046727418 + stirling_error_of(n);
}
INFALIGN_KEYED inline double log_choose(index_t n, index_t k) {
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

INFALIGN_KEYED inline index_t check_answers(std::string_view function, span<const index_t> counts, index_t correct, index_t k) {
  index_t samples = 0;
  for (index_t a = 0; a < counts.size(); ++a) {
    expects<domain_error>(counts[a] >= 0, function, "counts[", a, "] is ", counts[a], ", must not be negative");
    samples += counts[a];
  }
  expects<domain_error>(correct >= -1 && correct < counts.size(), function, "correct is ", correct,
                        ", must be a position of counts, or -1 where no answer is right");
  expects<domain_error>(k >= 1 && k <= samples, function, "k is ", k, ", must be in 1 … ", samples, ", the number of samples");
  return samples;
}

/// Of k answers drawn, how the wrong ones may fall: `ways[j][t]` is the share of draws in which j of the k are of the wrong answers so
/// far, none of these more than `most` times and exactly t of them `most` times. Shares of all k-subsets, in logs of binomials.
class vote_table {
 public:
  INFALIGN_KEYED vote_table(index_t k, index_t most, index_t ties) : k_(k), most_(most), ties_(ties) {
    shares_.assign(static_cast<std::size_t>((k + 1) * (ties + 1)), 0.0);
    shares_[0] = 1;
  }
  /// One more wrong answer, given `count` times among `seen` samples of wrong answers so far, itself included.
  INFALIGN_KEYED void add(index_t count, index_t seen) {
    std::vector<double> next(shares_.size(), 0.0);
    for (index_t j = 0; j <= k_; ++j)
      for (index_t t = 0; t <= ties_; ++t) {
        const double share = at(shares_, j, t);
        if (share == 0) continue;
        for (index_t own = 0; own <= count && own <= most_ && j + own <= k_; ++own) {
          const index_t tied = t + (own == most_ ? 1 : 0);
          if (tied > ties_ || j + own > seen) continue;
          // binom(seen - count, j)·binom(count, own)/binom(seen, j + own): shares stay shares of subsets of what was seen.
          at(next, j + own, tied) +=
              share * std::exp(log_choose(seen - count, j) + log_choose(count, own) - log_choose(seen, j + own));
        }
      }
    shares_ = std::move(next);
  }
  [[nodiscard]] double share(index_t j, index_t t) const { return shares_[static_cast<std::size_t>(j * (ties_ + 1) + t)]; }

 private:
  double& at(std::vector<double>& of, index_t j, index_t t) { return of[static_cast<std::size_t>(j * (ties_ + 1) + t)]; }
  index_t k_, most_, ties_;
  std::vector<double> shares_;
};

}  // namespace detail

/// maj@k of one prompt: the probability that the most frequent of k answers is right, where answers that are equally frequent are
/// chosen from at random. From how often each answer was given in `samples ≥ k` samples; unbiased, the mean over all k-subsets. For
/// counts 2 (right) and 1, maj@2 is ⅓·1 + ⅔·½ = ⅔.
///
/// - Shapes: `counts` one number an answer; `correct` is the position of the right one, -1 if it was never given: then 0.
/// - Cost: about `k³·answers` at most; answers that were given once each are cheap.
/// - Range: [0, 1] to 1e-11. Errors: `domain_error` for a negative count, a position that is none, or k outside 1 … samples.
/// - Source: self-consistency, Wang et al., ICLR 2023; the mean over subsets by a recursion over the answers: derived.
[[nodiscard]] INFALIGN_KEYED inline double majority_at_k(span<const index_t> counts, index_t correct, index_t k) {
  const index_t samples = detail::check_answers("majority_at_k", counts, correct, k);
  if (correct < 0) return 0;
  const index_t right = counts[correct];
  double found = 0;
  for (index_t votes = 1; votes <= right && votes <= k; ++votes) {
    const index_t others = k - votes;
    const double drawn = hypergeometric_probability(right, samples, k, votes);
    if (drawn == 0) continue;
    // How the others fall, given that they are a random subset of the wrong samples.
    detail::vote_table wrong(others, votes, others / votes);
    index_t seen = 0;
    for (index_t a = 0; a < counts.size(); ++a)
      if (a != correct && counts[a] > 0) wrong.add(counts[a], seen += counts[a]);
    for (index_t t = 0; t <= others / votes; ++t) found += drawn * wrong.share(others, t) / static_cast<double>(t + 1);
  }
  return found;
}

/// cons@k of one prompt: the probability that at least `needed` of k answers are the right one. cons@k of a strict majority is
/// `needed = k/2 + 1`; `needed = 1` is pass@k, `needed = k` all of k. Unbiased: the mean over all k-subsets of the samples.
/// Errors: `domain_error` as above. Source: the hypergeometric distribution.
[[nodiscard]] INFALIGN_KEYED inline double consensus_at_k(index_t samples, index_t successes, index_t k, index_t needed) {
  constexpr const char* function = "consensus_at_k";
  expects<domain_error>(k >= 1 && k <= samples, function, "k is ", k, ", must be in 1 … samples = ", samples);
  expects<domain_error>(successes >= 0 && successes <= samples, function, "successes is ", successes,
                        ", must be in 0 … samples = ", samples);
  expects<domain_error>(needed >= 1 && needed <= k, function, "needed is ", needed, ", must be in 1 … k = ", k);
  return hypergeometric_at_least(successes, samples, k, needed);
}

}  // namespace infalign
