// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <string_view>
#include <utility>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/core/weights.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

/// Token-wise controlled decoding: token z follows a prefix with probability `∝ p(z)·e^{V(z)/β}`, p being the model's and V(z) the
/// expected reward of the prefix with z. It is the distribution that maximises `E[V] - β·KL` at this token; large β is the model itself.
/// Errors: `domain_error` unless β > 0, the vocabulary has a token, `end` is one of them or -1 (none ends a response), and the most
/// tokens are at least 1 and below 2^30.
struct tilted_tokens {
  kl_weight beta;
  index_t vocabulary;
  index_t end;  ///< the token after which a response has ended; -1: none
  index_t most_tokens;

  tilted_tokens(kl_weight weight, index_t tokens, index_t end_token, index_t most)
      : beta(weight), vocabulary(tokens), end(end_token), most_tokens(most) {
    constexpr const char* function = "tilted_tokens";
    expects<domain_error>(beta.value > 0, function, "beta is ", beta.value, ", must be positive");
    expects<domain_error>(vocabulary >= 1, function, "vocabulary is ", vocabulary, ", must be at least 1");
    expects<domain_error>(end >= -1 && end < vocabulary, function, "end is ", end, ", must be -1 or one of ", vocabulary,
                          " tokens");
    expects<domain_error>(most_tokens >= 1 && most_tokens < most_served_samples, function, "most_tokens is ", most_tokens,
                          ", must be in 1 … 2^30 - 1");
  }
};

/// A response whose next token is asked for.
struct token_request {
  index_t prompt;                ///< position of the prompt in the call of `serve_tokens`: of its cache, for example
  span<const index_t> response;  ///< the tokens so far, none at first
};

/// A callable that returns a row of numbers for each request, one a token of the vocabulary, one row after the other, in one
/// random-access range.
template <class F>
concept token_rows = requires(F& rows_of, span<const token_request> requests) {
  { rows_of(requests) } -> detail::numbers;
  { rows_of(requests) } -> std::ranges::random_access_range;
};

namespace detail {

/// A token with probability `∝ e^{tilted}`, by inversion. -inf is a token that cannot come.
INFALIGN_KEYED inline index_t pick_token(std::vector<double>& tilted, double largest, double u) {
  double total = 0;
  for (double& x : tilted) total += x = std::exp(x - largest);
  double left = u * total;
  index_t last = 0;
  for (std::size_t z = 0; z < tilted.size(); ++z) {
    if (tilted[z] == 0) continue;
    last = static_cast<index_t>(z);
    if ((left -= tilted[z]) < 0) break;
  }
  return last;
}

template <class Range>
INFALIGN_KEYED void expects_rows(std::string_view function, std::string_view argument, const Range& range, std::size_t requests,
                                 index_t vocabulary) {
  const auto found = static_cast<index_t>(std::ranges::size(range)), asked = static_cast<index_t>(requests) * vocabulary;
  expects<shape_error>(found == asked, function, argument, " returned ", found, " values for ", requests, " requests of ",
                       vocabulary, " tokens, must be ", asked);
}

/// `logit + value/β` of every token into `tilted`; returns the largest.
template <class Logits, class Values>
INFALIGN_KEYED double tilt_row(std::string_view function, const Logits& logits, const Values& values, std::size_t row,
                               index_t prompt, double beta, std::vector<double>& tilted) {
  double largest = -infinity<double>;
  for (std::size_t z = 0; z < tilted.size(); ++z) {
    const auto at = static_cast<std::ptrdiff_t>(row * tilted.size() + z);
    const auto logit = static_cast<double>(std::ranges::begin(logits)[at]),
               value = static_cast<double>(std::ranges::begin(values)[at]);
    if (!(logit < infinity<double>))
      raise<domain_error>(function, "logit[", row, "][", z, "], of prompt ", prompt, ", is ", logit,
                          ", must be finite or -inf");
    if (not_finite(value))
      raise<domain_error>(function, "scorer's value[", row, "][", z, "], of prompt ", prompt, ", is ", value,
                          ", must be finite");
    tilted[z] = logit + value / beta;
    largest = tilted[z] > largest ? tilted[z] : largest;
  }
  if (not_finite(largest))
    raise<domain_error>(function, "logit[", row, "], of prompt ", prompt, ": the largest tilted logit is ", largest,
                        ", must be finite");
  return largest;
}

}  // namespace detail

/// Runs token-wise controlled decoding for every prompt until it ends.
///
/// - `step(requests)` returns the model's logits and `scorer(requests)` the prefix scorer's values `V`, both one row of `vocabulary`
///   numbers for each request. A logit of -inf is a token that cannot come. A temperature or top-k is the model's: put it into the logits.
/// - `prompts`: their number, or their numbers. The result has the tokens, `end` included, and as score the value of the last token.
/// - Cost: one call of both a token, for all prompts that have not ended; `samples` counts tokens, `scores` values.
/// - Reproducible: a token is drawn by inversion of one uniform number of seed, prompt and position.
/// - Errors: `shape_error` for counts that do not fit; `domain_error` for a logit that is NaN or +inf, a row without a finite one, a value
///   that is not finite.
/// - Source: Mudgal et al., ICML 2024, arXiv 2310.17022.
template <token_rows Step, token_rows Scorer>
[[nodiscard]] INFALIGN_KEYED served<std::vector<index_t>> serve_tokens(const tilted_tokens& procedure, Step&& step,
                                                                       Scorer&& scorer, const prompt_numbers& prompts,
                                                                       std::uint64_t seed = 0) {
  constexpr const char* function = "serve_tokens";
  served<std::vector<index_t>> result;
  result.prompts.resize(static_cast<std::size_t>(prompts.size()));
  std::vector<index_t> open;
  for (index_t p = 0; p < prompts.size(); ++p) open.push_back(p);
  std::vector<token_request> requests;
  std::vector<double> tilted(static_cast<std::size_t>(procedure.vocabulary));
  for (index_t position = 0; !open.empty() && position < procedure.most_tokens; ++position) {
    requests.clear();
    for (const index_t p : open) requests.push_back({p, result.prompts[static_cast<std::size_t>(p)].response});
    const span<const token_request> asked(requests);
    const auto& logits = step(asked);
    ++result.sampler_calls;
    detail::expects_rows(function, "step", logits, requests.size(), procedure.vocabulary);
    const auto& values = scorer(asked);
    ++result.scorer_calls;
    detail::expects_rows(function, "scorer", values, requests.size(), procedure.vocabulary);
    for (std::size_t row = 0; row < requests.size(); ++row) {
      const index_t p = requests[row].prompt;
      const double largest = detail::tilt_row(function, logits, values, row, p, procedure.beta.value, tilted);
      const double u = prompt_random(seed, prompts[p]).uniform(random_use::token, position);
      const index_t token = detail::pick_token(tilted, largest, u);
      auto& prompt = result.prompts[static_cast<std::size_t>(p)];
      prompt.response.push_back(token);
      prompt.score =
          static_cast<double>(std::ranges::begin(values)[static_cast<std::ptrdiff_t>(row) * procedure.vocabulary + token]);
      prompt.cost += {1, procedure.vocabulary, 1};
    }
    std::erase_if(open,
                  [&](index_t p) { return result.prompts[static_cast<std::size_t>(p)].response.back() == procedure.end; });
  }
  for (const auto& prompt : result.prompts) result.cost += prompt.cost;
  return result;
}

}  // namespace infalign
