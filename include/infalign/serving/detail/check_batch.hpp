// SPDX-License-Identifier: Apache-2.0
/// \file
/// What comes back from the caller's sampler and scorer: what it may be, whether it is right, and what it cost.
#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

/// What was drawn and scored.
struct serving_cost {
  index_t samples = 0;  ///< responses, or blocks, that the sampler returned; of token-wise decoding, steps
  index_t scores = 0;   ///< values that the scorer returned
  index_t tokens = 0;   ///< `token_count` of all samples, those in vain included

  serving_cost& operator+=(const serving_cost& other) {
    samples += other.samples;
    scores += other.scores;
    tokens += other.tokens;
    return *this;
  }
  friend bool operator==(const serving_cost&, const serving_cost&) = default;
};

namespace detail {

template <class T>
concept vector_of_something = requires { typename std::remove_cvref_t<T>::value_type; } &&
                              std::same_as<std::remove_cvref_t<T>, std::vector<typename std::remove_cvref_t<T>::value_type>>;

template <class T>
concept numbers =
    std::ranges::sized_range<T> && std::ranges::input_range<T> && std::convertible_to<std::ranges::range_value_t<T>, double>;

/// The tokens of a response: its `token_count(response)`, found by argument-dependent lookup, if there is one; else its size, if it has
/// one; else 1.
template <class Response>
index_t tokens_of(const Response& response) {
  if constexpr (requires {
                  { token_count(response) } -> std::convertible_to<index_t>;
                })
    return static_cast<index_t>(token_count(response));
  else if constexpr (std::ranges::sized_range<const Response&>)
    return static_cast<index_t>(std::ranges::size(response));
  else
    return 1;
}

template <class Range, class Requests>
void expects_count(std::string_view function, std::string_view argument, std::string_view what, const Range& range,
                   const Requests& requests) {
  const auto found = static_cast<std::size_t>(std::ranges::size(range));
  expects<shape_error>(found == requests.size(), function, argument, " returned ", found, " ", what, " for ", requests.size(),
                       " requests");
}

/// The scorer's values, one a request, all of them finite.
template <class Range, class Requests>
INFALIGN_KEYED std::vector<double> checked_scores(std::string_view function, const Range& range, const Requests& requests) {
  expects_count(function, "scorer", "values", range, requests);
  std::vector<double> values;
  values.reserve(requests.size());
  for (const auto& value : range) {
    const std::size_t i = values.size();
    const auto score = static_cast<double>(value);
    if (not_finite(score))
      raise<domain_error>(function, "scorer's value[", i, "], of prompt ", requests[i].prompt, ", attempt ",
                          requests[i].attempt, ", is ", score, ", must be finite");
    values.push_back(score);
  }
  return values;
}

}  // namespace detail

}  // namespace infalign
