// SPDX-License-Identifier: Apache-2.0
/// \file
/// When to stop drawing: one more sample is worth its expected gain over the best in hand, and costs its price.
///
/// \code
/// const std::vector<double> enough = reservation_values(references, 0.01);    // a sample costs as much as 0.01 of reward
/// const auto result = serve(stopped_at(best_of(64), enough), model, reward, prompts);
/// \endcode
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

namespace detail {

/// A vector, a span, or any other contiguous range of numbers.
template <class Range>
concept host_values = requires(const Range& range) { static_cast<double>(span(range)[0]); };

INFALIGN_KEYED inline void expects_price(std::string_view function, double price) {
  expects<domain_error>(price > 0 && !not_finite(price), function, "price is ", price, ", must be positive and finite");
}

template <class T>
INFALIGN_KEYED std::vector<double> checked_references(std::string_view function, const span<T>& references) {
  expects<shape_error>(!references.empty(), function, "references is empty");
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(references.size()));
  for (index_t i = 0; i < references.size(); ++i) {
    values.push_back(static_cast<double>(references[i]));
    expects<domain_error>(!not_finite(values.back()), function, "references[", i, "] is ", values.back(), ", must be finite");
  }
  return values;
}

/// With the k largest values above r, the expected gain is `(Σ R_i - k·r)/K`: solved for r, for the k at which r lies below them alone.
INFALIGN_KEYED inline double solved_reservation(std::vector<double>& values, double price) {
  std::sort(values.begin(), values.end(), std::greater<>());
  const auto size = static_cast<double>(values.size());
  // Gaps to the largest are summed, so that a large common level of the rewards loses no digits.
  const double top = values.front();
  double gaps = 0, found = top;
  for (std::size_t k = 1; k <= values.size(); ++k) {
    gaps += top - values[k - 1];
    found = top - (gaps + size * price) / static_cast<double>(k);
    if (k == values.size() || found >= values[k]) break;
  }
  return found;
}

}  // namespace detail

/// What one more sample adds to the best so far on average: `E[max(0, R - best)]`, R one of the reference rewards at random.
/// Cost: one pass. Errors: `shape_error` without references; `domain_error` for a reference that is not finite, or a NaN.
template <detail::host_values Range>
[[nodiscard]] INFALIGN_KEYED double expected_gain(const Range& references, double best) {
  constexpr const char* function = "expected_gain";
  expects<domain_error>(best == best, function, "best is ", best, ", must not be NaN");
  double sum = 0;
  const std::vector<double> values = detail::checked_references(function, span(references));
  for (const double r : values) sum += r > best ? r - best : 0;
  return sum / static_cast<double>(values.size());
}

/// The best in hand from which on one more sample is not worth its price: the r with `E[max(0, R - r)] = price`, R one of the K
/// reference rewards of the prompt at random. Drawing while the best is below r is optimal, however many samples may still be drawn;
/// and where any number may be drawn, r is also what is gained on average: reward less price × samples. For references 0 and 1 and a
/// price of 0.1, r = 0.8.
///
/// The price is in units of the reward, or, with references and scores that are calibrated, of win rate: see `reservation_quantile`.
/// r may lie below all references, at `E[R] - price`: the first sample is already not worth it, and still one has to be served. The
/// rule is exact for the empirical distribution of the references. No reward above their largest is expected, so r lies a price below it
/// at least: where the price is small, many references are needed.
///
/// Cost: K·log K. Errors: `shape_error` without references; `domain_error` for a reference that is not finite, or a price that is not
/// positive and finite. Source: Weitzman, Econometrica 47 (1979).
template <detail::host_values Range>
[[nodiscard]] INFALIGN_KEYED double reservation_value(const Range& references, double price) {
  constexpr const char* function = "reservation_value";
  detail::expects_price(function, price);
  std::vector<double> values = detail::checked_references(function, span(references));
  return detail::solved_reservation(values, price);
}

/// `reservation_value` of every prompt, from groups (rows or ragged) of reference rewards.
/// Errors: as `reservation_value`, with the prompt.
template <grouped Groups>
[[nodiscard]] INFALIGN_KEYED std::vector<double> reservation_values(const Groups& references, double price) {
  constexpr const char* function = "reservation_values";
  detail::expects_price(function, price);
  std::vector<double> found;
  found.reserve(static_cast<std::size_t>(references.size()));
  for (index_t p = 0; p < references.size(); ++p) {
    const auto own = references[p];
    expects<shape_error>(!own.empty(), function, "references of prompt ", p, " are none");
    std::vector<double> values;
    values.reserve(static_cast<std::size_t>(own.size()));
    for (index_t i = 0; i < own.size(); ++i) {
      values.push_back(static_cast<double>(own[i]));
      expects<domain_error>(!not_finite(values.back()), function, "references[", p, "][", i, "] is ", values.back(),
                            ", must be finite");
    }
    found.push_back(detail::solved_reservation(values, price));
  }
  return found;
}

/// The same for calibrated rewards without ties, which are uniform under the base policy: `E[max(0, U - r)] = (1 - r)²/2`, so that
/// `r = 1 - √(2·price)`, or `½ - price` where that is negative. The price of a sample is in win rate against the base policy.
/// Errors: `domain_error` unless the price is positive and finite. Source: as above.
[[nodiscard]] INFALIGN_KEYED inline double reservation_quantile(double price) {
  detail::expects_price("reservation_quantile", price);
  return price < 0.5 ? 1 - std::sqrt(2 * price) : 0.5 - price;
}

}  // namespace infalign
