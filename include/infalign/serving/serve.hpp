// SPDX-License-Identifier: Apache-2.0
/// \file
/// Inference-time procedures that run, on a sampler and a scorer of the caller's. `procedure/` says what they do to a distribution;
/// here they draw, score, and serve.
///
/// The caller's model is called with all that is needed at once, for all prompts that are not finished:
///
/// \code
/// const auto model = [&](span<const sample_request> asked) -> std::vector<std::string> { … };  // one response a request
/// const auto reward = [&](span<const sample_request> asked, span<const std::string> responses) -> std::vector<double> { … };
/// const auto result = serve(best_of(4), model, reward, 100, {.seed = 1});   // 100 prompts, one call for 400 responses
/// result.prompts[7].response; result.prompts[7].score; result.prompts[7].cost.samples; result.cost.tokens;
/// \endcode
///
/// A procedure is added by specialising `serving_rule`; `serving/rank_rules.hpp` has examples.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/serving/detail/check_batch.hpp"
#include "infalign/serving/prompt_random.hpp"

namespace infalign {

/// A response that the sampler is asked for.
struct sample_request {
  index_t prompt;      ///< position of the prompt in the call of `serve`
  index_t attempt;     ///< how many samples of this prompt were asked for before it
  std::uint64_t seed;  ///< random bits of this request alone; a sampler that uses no others makes the result reproducible
};

/// The numbers of the prompts, from which their random numbers are made: 0 … P - 1, or the caller's own. With numbers of their own,
/// prompts get the same responses in any order and any batch. Equal numbers get equal seeds. The caller keeps the numbers alive.
class prompt_numbers {
 public:
  /// Errors: `domain_error` for a negative number of prompts.
  template <std::integral Count>
  prompt_numbers(Count prompts) : size_(static_cast<index_t>(prompts)) {
    expects<domain_error>(size_ >= 0, "prompt_numbers", "prompts is ", size_, ", must not be negative");
  }
  template <class Range>
    requires std::convertible_to<const Range&, span<const std::uint64_t>>
  prompt_numbers(const Range& numbers) : numbers_(numbers), size_(numbers_.size()) {}
  [[nodiscard]] index_t size() const { return size_; }
  [[nodiscard]] std::uint64_t operator[](index_t p) const {
    return numbers_.empty() ? static_cast<std::uint64_t>(p) : numbers_[p];
  }

 private:
  span<const std::uint64_t> numbers_;
  index_t size_;
};

struct serving_options {
  std::uint64_t seed = 0;
  /// The most samples of one prompt that are asked for in one call. 0: one, where the procedure may stop early; else all. It changes
  /// how many samples are drawn in vain, and never what is served.
  index_t at_once = 0;
};

/// A sample of a prompt with its score.
template <class Response>
struct scored_response {
  Response response;
  double score = 0;     ///< the scorer's; 0 where there is none
  index_t attempt = 0;  ///< which sample of the prompt it is, from 0
};

/// What was served for one prompt.
template <class Response>
struct served_response : scored_response<Response> {
  serving_cost cost;
};

/// What was served, prompt by prompt, and what it cost.
template <class Response>
struct served {
  std::vector<served_response<Response>> prompts;
  serving_cost cost;          ///< of all prompts
  index_t sampler_calls = 0;  ///< batches that the sampler was asked for
  index_t scorer_calls = 0;
};

/// What a procedure does at one prompt. A specialisation for a procedure has
/// - a constructor from `(const Procedure&, index_t prompt, const prompt_random&)`;
/// - `stops_early`: a static constant, whether it may do with fewer than the most;
/// - `most()`: how many samples it draws at most, at least 1;
/// - `take(scored_response<Response>&&)`: looks at the next sample, and returns whether it needs no further ones;
/// - `choose()`: the sample that is served.
template <class Procedure, class Response>
struct serving_rule;

/// A callable that returns a `std::vector` with one response for each request, in their order.
template <class S>
concept batch_sampler = requires(S& sampler, span<const sample_request> requests) {
  { sampler(requests) } -> detail::vector_of_something;
};
template <batch_sampler S>
using response_of = typename std::remove_cvref_t<std::invoke_result_t<S&, span<const sample_request>>>::value_type;

/// A callable that returns one number for each response, in their order: in a vector, a span or any other sized range.
template <class S, class Response, class Request = sample_request>
concept batch_scorer = requires(S& scorer, span<const Request> requests, span<const Response> responses) {
  { scorer(requests, responses) } -> detail::numbers;
};

namespace detail {

/// In place of a scorer.
struct no_scorer {
  template <class Responses>
  std::vector<double> operator()(span<const sample_request>, const Responses&) const {
    return {};
  }
};

/// Draws for every prompt until its rule is satisfied or has drawn all. Samples that come after the one which satisfies a rule are
/// counted, and not looked at.
template <class Rule, class Sampler, class Scorer>
INFALIGN_KEYED auto run_attempts(std::string_view function, std::vector<Rule>& rules, Sampler& sampler, Scorer& scorer,
                                 const prompt_numbers& numbers, const serving_options& options) {
  using response = response_of<Sampler>;
  constexpr bool scores = !std::same_as<std::remove_cv_t<Scorer>, no_scorer>;
  expects<domain_error>(options.at_once >= 0, function, "at_once is ", options.at_once, ", must not be negative");
  served<response> result;
  std::vector<serving_cost> costs(rules.size());
  std::vector<bool> finished(rules.size(), false);
  const index_t at_once = options.at_once > 0 ? options.at_once : Rule::stops_early ? 1 : most_served_samples;
  std::vector<index_t> open;
  for (index_t p = 0; p < numbers.size(); ++p) open.push_back(p);
  std::vector<sample_request> requests;
  while (!open.empty()) {
    requests.clear();
    for (const index_t p : open) {
      const index_t drawn = costs[static_cast<std::size_t>(p)].samples,
                    left = rules[static_cast<std::size_t>(p)].most() - drawn;
      const prompt_random random(options.seed, numbers[p]);
      for (index_t i = 0; i < std::min(left, at_once); ++i)
        requests.push_back({p, drawn + i, random.bits(random_use::sample, drawn + i)});
    }
    std::vector<response> responses = sampler(span<const sample_request>(requests));
    ++result.sampler_calls;
    expects_count(function, "sampler", "responses", responses, requests);
    std::vector<double> values(requests.size());
    if constexpr (scores) {
      values =
          checked_scores(function, scorer(span<const sample_request>(requests), span<const response>(responses)), requests);
      ++result.scorer_calls;
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto p = static_cast<std::size_t>(requests[i].prompt);
      costs[p] += {1, scores ? 1 : 0, tokens_of(responses[i])};
      if (!finished[p]) finished[p] = rules[p].take({std::move(responses[i]), values[i], requests[i].attempt});
    }
    std::erase_if(open, [&](index_t position) {
      const auto p = static_cast<std::size_t>(position);
      return finished[p] || costs[p].samples >= rules[p].most();
    });
  }
  result.prompts.reserve(rules.size());
  for (std::size_t p = 0; p < rules.size(); ++p) {
    result.prompts.push_back({{rules[p].choose()}, costs[p]});
    result.cost += costs[p];
  }
  return result;
}

}  // namespace detail

/// Runs a procedure for every prompt: draws by `sampler`, scores by `scorer` (a reward: larger is better), serves one response.
/// Procedures: those of `procedure/` with the exception of what has a distortion alone, `soft_best_of`, `rewind_and_repeat`, and
/// `stopped_at` around `best_of` and others.
///
/// - Shapes: `prompts` is P or the P numbers of the prompts. Ties: of samples with the same score, one; which does not depend on the
///   responses.
/// - Cost: one call of sampler and scorer, or `most/at_once` of them. Memory: what one call returns, and one sample a prompt (all of
///   them for `order_statistic` and `top_of`).
/// - Reproducible: a prompt's result depends on seed and number of the prompt alone, if the sampler draws by the seed of each request.
/// - Errors: `shape_error` where sampler or scorer return too few or too many; `domain_error` for a score that is not finite, with the
///   prompt, the attempt and the value; for more than 2^30 samples a prompt. What the callables throw is passed on.
/// - Source: the definitions of the procedures; see each.
template <class Procedure, batch_sampler Sampler, batch_scorer<response_of<Sampler>> Scorer>
[[nodiscard]] INFALIGN_KEYED served<response_of<Sampler>> serve(const Procedure& procedure, Sampler&& sampler, Scorer&& scorer,
                                                                const prompt_numbers& prompts,
                                                                const serving_options& options = {}) {
  using rule = serving_rule<Procedure, response_of<Sampler>>;
  static_assert(
      requires { sizeof(rule); }, "the procedure has no serving_rule: it cannot be run");
  if constexpr (requires { procedure.expects_prompts(prompts.size()); }) procedure.expects_prompts(prompts.size());
  std::vector<rule> rules;
  rules.reserve(static_cast<std::size_t>(prompts.size()));
  for (index_t p = 0; p < prompts.size(); ++p) {
    rules.emplace_back(procedure, p, prompt_random(options.seed, prompts[p]));
    expects<domain_error>(rules.back().most() <= most_served_samples, "serve", "procedure draws up to ", rules.back().most(),
                          " samples for prompt ", p, ", the most are ", most_served_samples);
  }
  return detail::run_attempts("serve", rules, sampler, scorer, prompts, options);
}

}  // namespace infalign
