// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

/// Block-wise controlled decoding: K candidates for the next L tokens, of which the one with the best prefix score goes on.
/// Errors: `domain_error` unless `1 ≤ K < 2^30`, L ≥ 1 and the most tokens are at least 1 and below 2^30.
struct best_of_blocks {
  index_t candidates;   ///< K
  index_t length;       ///< L, the tokens of a block
  index_t most_tokens;  ///< of a response, beyond what it starts with

  best_of_blocks(index_t blocks, index_t tokens, index_t most) : candidates(blocks), length(tokens), most_tokens(most) {
    constexpr const char* function = "best_of_blocks";
    expects<domain_error>(candidates >= 1 && candidates < most_served_samples, function, "candidates is ", candidates,
                          ", must be in 1 … 2^30 - 1");
    expects<domain_error>(length >= 1, function, "length is ", length, ", must be at least 1");
    expects<domain_error>(most_tokens >= 1 && most_tokens < most_served_samples, function, "most_tokens is ", most_tokens,
                          ", must be in 1 … 2^30 - 1");
  }
};

/// A response that is to be extended.
template <class Response>
struct block_request {
  index_t prompt;          ///< position of the prompt in the call of `serve_blocks`
  index_t attempt;         ///< which of the K candidates
  index_t block;           ///< how many blocks were chosen before
  index_t length;          ///< extend by at most so many tokens
  std::uint64_t seed;      ///< random bits of this request alone
  const Response* prefix;  ///< what there is so far
};

/// A callable that returns a vector of extended responses, one a request.
template <class E, class Response>
concept block_sampler = requires(E& extend, span<const block_request<Response>> requests) {
  { extend(requests) } -> detail::vector_of_something;
  requires std::same_as<std::remove_cvref_t<decltype(extend(requests))>, std::vector<Response>>;
};

namespace detail {

/// The tokens by which `extended` is longer. Errors: `domain_error` if it is shorter, too much longer, or no longer and not finished.
template <class Response, class Finished>
INFALIGN_KEYED index_t added_tokens(std::string_view function, const block_request<Response>& request, std::size_t i,
                                    const Response& extended, const Finished& finished) {
  const index_t added = tokens_of(extended) - tokens_of(*request.prefix);
  const bool right = added >= 0 && added <= request.length && (added > 0 || std::invoke(finished, extended));
  expects<domain_error>(right, function, "sampler's response[", i, "], of prompt ", request.prompt, ", candidate ",
                        request.attempt, ", has ", added, " tokens more than its prefix, must be ",
                        added == 0 ? "finished or in 1 … " : "in 0 … ", request.length);
  return added;
}

}  // namespace detail

/// Runs block-wise controlled decoding: of K extensions of each response by at most L tokens, the one whose prefix score is largest is
/// kept, until it is finished or has its tokens. With L the whole length it is best-of-K.
///
/// - `extend(requests)` returns a `std::vector<Response>` of prefixes with their new block; `scorer(requests, responses)` a value for
///   each, the expected reward of what will come of it; `finished(response)` whether a response has ended. A response needs a size or a
///   `token_count`, and has to be copyable by `extend`.
/// - Shapes: `starts` one response a prompt, empty or not; `prompts` their number, or their numbers. Ties: the first candidate.
/// - Cost: one call of `extend` and of the scorer a block, for all that have not ended. K candidates are paid for each block.
/// - Errors: `shape_error` for counts that do not fit; `domain_error` for scores that are not finite, for a response that is not longer
///   by 1 … L tokens (0 if finished). A start that is finished costs nothing; its score is 0.
/// - Source: Mudgal et al., ICML 2024, arXiv 2310.17022.
template <class Response, block_sampler<Response> Extend, batch_scorer<Response, block_request<Response>> Scorer,
          std::predicate<const Response&> Finished>
[[nodiscard]] INFALIGN_KEYED served<Response> serve_blocks(const best_of_blocks& procedure, Extend&& extend, Scorer&& scorer,
                                                           const Finished& finished, std::vector<Response> starts,
                                                           const prompt_numbers& prompts, std::uint64_t seed = 0) {
  constexpr const char* function = "serve_blocks";
  expects<shape_error>(static_cast<index_t>(starts.size()) == prompts.size(), function, "starts has ", starts.size(),
                       " responses for ", prompts.size(), " prompts");
  served<Response> result;
  std::vector<index_t> open, left(starts.size(), procedure.most_tokens);
  for (std::size_t p = 0; p < starts.size(); ++p) {
    if (!std::invoke(finished, std::as_const(starts[p]))) open.push_back(static_cast<index_t>(p));
    result.prompts.push_back({{std::move(starts[p]), 0, 0}, {}});
  }
  std::vector<block_request<Response>> requests;
  for (index_t block = 0; !open.empty(); ++block) {
    requests.clear();
    for (const index_t p : open) {
      const prompt_random random(seed, prompts[p]);
      const auto at = static_cast<std::size_t>(p);
      for (index_t k = 0; k < procedure.candidates; ++k)
        requests.push_back({p, k, block, std::min(procedure.length, left[at]), random.bits(random_use::sample, block, k),
                            &result.prompts[at].response});
    }
    const span<const block_request<Response>> asked(requests);
    std::vector<Response> extended = extend(asked);
    ++result.sampler_calls;
    detail::expects_count(function, "sampler", "responses", extended, requests);
    std::vector<index_t> added;
    for (std::size_t i = 0; i < requests.size(); ++i)
      added.push_back(detail::added_tokens(function, requests[i], i, extended[i], finished));
    const std::vector<double> scores =
        detail::checked_scores(function, scorer(asked, span<const Response>(extended)), requests);
    ++result.scorer_calls;
    for (std::size_t i = 0; i < requests.size(); i += static_cast<std::size_t>(procedure.candidates)) {
      const auto p = static_cast<std::size_t>(requests[i].prompt);
      std::size_t best = i;
      for (std::size_t j = i; j < i + static_cast<std::size_t>(procedure.candidates); ++j) {
        if (scores[j] > scores[best]) best = j;
        result.prompts[p].cost += {1, 1, added[j]};
      }
      left[p] -= added[best];
      static_cast<scored_response<Response>&>(result.prompts[p]) = {std::move(extended[best]), scores[best],
                                                                    requests[best].attempt};
    }
    std::erase_if(open, [&](index_t position) {
      const auto p = static_cast<std::size_t>(position);
      return left[p] == 0 || std::invoke(finished, std::as_const(result.prompts[p].response));
    });
  }
  for (const auto& prompt : result.prompts) result.cost += prompt.cost;
  return result;
}

}  // namespace infalign
