// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

/// Majority voting over N samples. Errors: `domain_error` for N < 1.
struct majority_of {
  index_t n;
  explicit majority_of(index_t samples) : n(samples) {
    expects<domain_error>(samples >= 1, "majority_of", "N is ", samples, ", must be at least 1");
  }
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Counts the votes, and is done when no other answer can draw level with the first any more.
template <class Response, class AnswerOf>
class INFALIGN_KEYED majority_rule {
 public:
  using answer = std::remove_cvref_t<std::invoke_result_t<const AnswerOf&, const Response&>>;
  static constexpr bool stops_early = true;

  majority_rule(index_t most, const AnswerOf& answer_of, const prompt_random& random)
      : most_(most), answer_of_(&answer_of), random_(random) {}
  [[nodiscard]] index_t most() const { return most_; }

  bool take(scored_response<Response>&& next) {
    ++taken_;
    if (!vote(next) && !silent_) silent_.emplace(std::move(next));
    index_t leader = 0, second = 0;
    for (const candidate& c : candidates_) {
      second = std::max(second, std::min(leader, c.votes));
      leader = std::max(leader, c.votes);
    }
    return leader - second > most_ - taken_;
  }

  scored_response<Response> choose() {
    if (candidates_.empty()) return std::move(*silent_);
    index_t leader = 0, tied = 0;
    for (const candidate& c : candidates_) leader = std::max(leader, c.votes);
    for (const candidate& c : candidates_) tied += c.votes == leader ? 1 : 0;
    index_t pick = random_.below(tied, random_use::choice);
    std::size_t at = 0;
    while (candidates_[at].votes != leader || pick-- > 0) ++at;
    scored_response<Response>& chosen = candidates_[at].first;
    chosen.score = static_cast<double>(leader) / static_cast<double>(taken_);
    return std::move(chosen);
  }

 private:
  struct candidate {
    answer given;
    index_t votes;
    scored_response<Response> first;
  };

  /// Whether the sample has an answer. The first sample with an answer is kept.
  bool vote(scored_response<Response>& next) {
    answer given = std::invoke(*answer_of_, std::as_const(next.response));
    if constexpr (is_optional<answer>) {
      if (!given) return false;
    }
    for (candidate& c : candidates_)
      if (c.given == given) return ++c.votes > 0;
    candidates_.push_back({std::move(given), 1, std::move(next)});
    return true;
  }

  index_t most_, taken_ = 0;
  const AnswerOf* answer_of_;
  prompt_random random_;
  std::optional<scored_response<Response>> silent_;  ///< the first sample that has no answer
  std::vector<candidate> candidates_;
};

}  // namespace detail

/// Majority voting (self-consistency): of N samples a prompt, one with the most frequent answer is served, the first that gave it. Of
/// answers that are equally frequent one is chosen at random. Its `score` is its share of the samples that were counted.
///
/// - `answer_of(response)`: the answer, compared by `==`. It may be a `std::optional`: who has none does not vote. Where nobody votes
///   the first sample is served, with score 0. It is called once a sample.
/// - Counting stops when no other answer can draw level any more. That never changes what is served.
/// - Cost: at most N samples a prompt; comparisons: samples × different answers. Otherwise as `serve`.
/// - Errors: as `serve`. Source: Wang et al., ICLR 2023, arXiv 2203.11171; from counts of answers: `majority_at_k`.
template <batch_sampler Sampler, class AnswerOf>
  requires std::invocable<const AnswerOf&, const response_of<Sampler>&>
[[nodiscard]] INFALIGN_KEYED served<response_of<Sampler>> serve_majority(const majority_of& procedure, Sampler&& sampler,
                                                                         const AnswerOf& answer_of,
                                                                         const prompt_numbers& prompts,
                                                                         const serving_options& options = {}) {
  std::vector<detail::majority_rule<response_of<Sampler>, AnswerOf>> rules;
  rules.reserve(static_cast<std::size_t>(prompts.size()));
  for (index_t p = 0; p < prompts.size(); ++p)
    rules.emplace_back(procedure.n, answer_of, prompt_random(options.seed, prompts[p]));
  const detail::no_scorer none;
  return detail::run_attempts("serve_majority", rules, sampler, none, prompts, options);
}

}  // namespace infalign
