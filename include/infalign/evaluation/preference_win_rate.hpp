// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rates from judgments that compare a response of the policy with one of the base policy.
#pragma once

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/shapes.hpp"

namespace infalign {

namespace detail {
template <class Preferences>
struct mean_kernel {
  Preferences preferences;
  double* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto own = preferences[g];
    const double sum = team.sum_items(own.size(), [&](index_t i) { return static_cast<double>(own[i]); });
    team.once([&] { out[g] = sum / static_cast<double>(own.size()); });
  }
};
template <class P>
mean_kernel(P, double*) -> mean_kernel<P>;
}  // namespace detail

/// Win rate of every prompt from its judgments: their mean, `out = Σ p/m`.
///
/// A judgment is the probability that the response of the policy is preferred: 1 if it wins, 0 if that of the base policy wins, ½ for
/// a tie, or what lies between for a judge that gives probabilities. A judge that says `preference` from 1 (base) to 2 (policy), as
/// AlpacaEval's does, means `p = preference - 1`. `summarize(on, out, win_rate_range)` is then the win rate with its standard error:
/// the prompt is the unit of sampling, however many judgments it has.
///
/// - Shapes: `preferences` P groups (rows or ragged) of at least one judgment; `out` P values.
/// - Range: [0, 1] up to rounding. Cost: one read.
/// - Errors: `shape_error` (sizes, a group without judgments, `out` overlapping preferences), `domain_error` for a preference outside
///   [0, 1] or NaN, before anything is written.
/// - Source: the win rate of AlpacaEval (github.com/tatsu-lab/alpaca_eval), where each prompt has one judgment.
template <backend B, grouped Preferences, class Out>
  requires reachable_from<B, Preferences>
void preference_win_rate(B&& on, const Preferences& preferences, Out&& out) {
  const span result(out);
  static_assert(reachable_from<B, decltype(result)>, "the views must live in the memory of the backend");
  constexpr const char* function = "preference_win_rate";
  detail::expects_groups(on, function, "preferences", preferences);
  detail::expects_span(function, "out", result);
  expects<shape_error>(result.size() == preferences.size(), function, "out has ", result.size(),
                       " values, but preferences has ", preferences.size(), " groups");
  detail::expects_apart(function, "out", result, "preferences", preferences);
  detail::expects_group_sizes(on, function, "preferences", preferences, 1, "at least one is needed");
  detail::expects_each<detail::is_no_probability>(on, function, "preferences", preferences, "in [0, 1]");
  on.groups(preferences.size(), preferences.total(), detail::mean_kernel{any_groups(preferences), result.data()});
}

}  // namespace infalign
