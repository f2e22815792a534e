// SPDX-License-Identifier: Apache-2.0
/// \file
/// Mean and standard error of one value per prompt, on a backend.
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/statistics/estimate.hpp"
#include "infalign/statistics/summary.hpp"

namespace infalign {

namespace detail {
/// Mean, then the squared deviations from it: two passes, so that nearly equal values lose no digits.
template <class T>
struct summary_kernel {
  const T* values;
  index_t n;
  summary* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    const double sum = team.sum_items(n, [&](index_t i) { return static_cast<double>(values[i]); });
    const double mean = sum / static_cast<double>(n);
    const double squares = team.sum_items(n, [&](index_t i) {
      const double deviation = static_cast<double>(values[i]) - mean;
      return deviation * deviation;
    });
    team.once([&] { *out = {n, mean, squares}; });
  }
};

template <class B, class Input>
summary summary_of_span(B& on, std::string_view function, const Input& input) {
  expects<shape_error>(!input.empty(), function, "values is empty");
  expects_span(function, "values", input);
  expects_finite(on, function, "values", input);
  auto frame = on.scratch();
  auto* const result = frame.template take<summary>(1);
  using T = typename Input::value_type;
  on.groups(1, input.size(), summary_kernel<T>{input.data(), input.size(), result});
  return on.read(result);
}
}  // namespace detail

/// The `summary` of values, to be merged with those of other parts: `n`, `Σx/n`, `Σ(x - mean)²`. In two passes, so that it is
/// exact up to the rounding of two sums, whatever the mean. Waits for the result.
///
/// - Shapes: `values` n ≥ 1 numbers. Cost: 2n reads. Same bits in every run of one backend.
/// - Errors: `shape_error` if there are no values, `domain_error` for NaN or infinity.
template <backend B, class Values>
summary summary_of(B&& on, const Values& values) {
  const span input(values);
  static_assert(reachable_from<B, decltype(input)>, "the view must live in the memory of the backend");
  return detail::summary_of_span(on, "summary_of", input);
}

/// Mean of one value per prompt, with the standard error `sd/√P` (Bessel's correction): `estimate_of(summary_of(on, values),
/// range)`. One value has standard error +inf. Waits for the result.
///
/// The prompt is the unit of sampling: samples of the same prompt are alike, so their number does not count. To compare two
/// policies on the same prompts, summarise the differences prompt by prompt.
///
/// - Shapes: `values` P ≥ 1 numbers. `range`: that of the estimated quantity, `win_rate_range` for win rates. It is passed on in
///   the estimate, and no value is compared with it.
/// - Cost: 2P reads. Same bits in every run of one backend.
/// - Errors: `shape_error` if there are no values, `domain_error` for NaN or infinity.
template <backend B, class Values>
estimate summarize(B&& on, const Values& values, quantity_range range = {}) {
  const span input(values);
  static_assert(reachable_from<B, decltype(input)>, "the view must live in the memory of the backend");
  return estimate_of(detail::summary_of_span(on, "summarize", input), range);
}

}  // namespace infalign
