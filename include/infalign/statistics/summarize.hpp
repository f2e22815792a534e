// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/statistics/estimate.hpp"

namespace infalign {

namespace detail {
/// Mean, then the squared deviations from it: two passes, so that nearly equal values lose no digits.
template <class T>
struct summary_kernel {
  const T* values;
  index_t n;
  estimate* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    using std::sqrt;
    const auto count = static_cast<double>(n);
    const double mean = team.sum_items(n, [&](index_t i) { return static_cast<double>(values[i]); }) / count;
    const double squares = team.sum_items(n, [&](index_t i) {
      const double deviation = static_cast<double>(values[i]) - mean;
      return deviation * deviation;
    });
    const double standard_error = n > 1 ? sqrt(squares / (count - 1) / count) : infinity<double>;
    team.once([&] { *out = {mean, standard_error, n}; });
  }
};
}  // namespace detail

/// Mean of one value per prompt, with the standard error `sd/√P` (Bessel's correction): the prompt is the unit of sampling,
/// since the samples within one are not independent given the prompt set. One value has standard error +inf. To compare two
/// policies on the same prompts, summarise the per-prompt differences. Waits for the result. Errors: `shape_error` if there are
/// no values, `domain_error` for NaN or infinity.
template <backend B, class Values>
estimate summarize(B&& on, const Values& values) {
  const span input(values);
  static_assert(reachable_from<B, decltype(input)>, "the view must live in the memory of the backend");
  expects<shape_error>(!input.empty(), "summarize", "values is empty");
  detail::expects_finite(on, "summarize", "values", input);
  auto frame = on.scratch();
  auto* result = frame.template take<estimate>(1);
  using T = typename decltype(input)::value_type;
  on.groups(1, input.size(), detail::summary_kernel<T>{input.data(), input.size(), result});
  return on.read(result);
}

}  // namespace infalign
