// SPDX-License-Identifier: Apache-2.0
/// \file
/// From what is known of responses to the derivatives of a loss by their log-probabilities.
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/predicates.hpp"
#include "infalign/logits/token_ids.hpp"
#include "infalign/objective/detail/check_objective.hpp"
#include "infalign/objective/preference/preference_loss.hpp"
#include "infalign/objective/preference/preference_statistics.hpp"

namespace infalign::detail {

/// The losses of pairs and their derivatives, two for each.
template <class Loss, class T>
struct pair_loss_kernel {
  Loss loss;
  const response_row* rows;
  const response_pair* pairs;
  preference_pointers<T> statistics;
  double* slopes;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t p) const {
    team.once([&] {
      const response_row& chosen = rows[pairs[p].chosen];
      const response_row& rejected = rows[pairs[p].rejected];
      const pair_value v = loss_of_pair(loss, chosen, rejected);
      if (statistics.loss != nullptr) statistics.loss[p] = static_cast<T>(v.value);
      if (statistics.margin != nullptr) statistics.margin[p] = static_cast<T>(margin_of(chosen, rejected));
      slopes[2 * p] = v.by_chosen;
      slopes[2 * p + 1] = v.by_rejected;
    });
  }
};

/// The derivatives by responses: sums over the pairs that a response is in, always in their order. One lane, without atomics.
struct pair_slopes_kernel {
  const response_pair* pairs;
  const double* slopes;
  index_t n_pairs;
  index_t responses;
  double* by_response;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    team.items(responses, [&](index_t r) { by_response[r] = 0; });
    team.once([&] {
      for (index_t p = 0; p < n_pairs; ++p) {
        by_response[pairs[p].chosen] += slopes[2 * p];
        by_response[pairs[p].rejected] += slopes[2 * p + 1];
      }
    });
  }
};

template <class Loss, class T>
struct response_loss_kernel {
  Loss loss;
  const response_row* rows;
  preference_pointers<T> statistics;
  double* by_response;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    team.once([&] {
      const response_value v = loss(rows[r]);
      if (statistics.loss != nullptr) statistics.loss[r] = static_cast<T>(v.value);
      by_response[r] = v.by_log_prob;
    });
  }
};

/// The derivatives by the log-probabilities of R responses, in scratch memory of `frame`.
template <class B, class Frame, class Loss, class T, class Space>
double* run_pair_losses(B& on, Frame& frame, const Loss& loss, const response_row* rows, index_t responses,
                        const span<const response_pair, Space>& pairs, const preference_pointers<T>& statistics) {
  double* const slopes = frame.template take<double>(2 * pairs.size());
  double* const by_response = frame.template take<double>(responses);
  on.groups(pairs.size(), 64 * pairs.size(), pair_loss_kernel<Loss, T>{loss, rows, pairs.data(), statistics, slopes});
  on.groups(1, 4 * pairs.size(), pair_slopes_kernel{pairs.data(), slopes, pairs.size(), responses, by_response});
  return by_response;
}
template <class B, class Frame, class Loss, class T>
double* run_response_losses(B& on, Frame& frame, const Loss& loss, const response_row* rows, index_t responses,
                            const preference_pointers<T>& statistics) {
  double* const by_response = frame.template take<double>(responses);
  on.groups(responses, 64 * responses, response_loss_kernel<Loss, T>{loss, rows, statistics, by_response});
  return by_response;
}

/// Numbers of either type, as many as there are things called `what`, none of which is what `Offends` says. `counts(i)`: it is read.
template <template <class> class Offends, class B, class Space, class Counts>
void check_numbers(B& on, std::string_view function, std::string_view name, const token_weights<Space>& numbers, index_t size,
                   std::string_view what, std::string_view requirement, const Counts& counts) {
  numbers.visit([&](const auto& values) {
    expects_span(function, name, values);
    if (values.empty()) return;
    expects<shape_error>(values.size() == size, function, name, " has ", values.size(), " values, but there are ", size, " ",
                         what);
    expects_each_counted<Offends>(on, function, name, values, requirement, counts);
  });
}

/// Pairs name responses that there are.
template <class B, class Space>
void check_pairs(B& on, std::string_view function, const span<const response_pair, Space>& pairs, index_t responses) {
  static_assert(sizeof(response_pair) == 2 * sizeof(index_t));
  expects_span(function, "pairs", pairs);
  if (pairs.empty() || !on.checks_values()) return;
  expects<shape_error>(responses > 0, function, "pairs has ", pairs.size(), " pairs, but there are no responses");
  const auto* const ids = reinterpret_cast<const index_t*>(pairs.data());
  const index_t bad = on.template first<index_t>(2 * pairs.size(), is_no_id<index_t>{ids, 0, responses - 1, 0});
  if (bad < 2 * pairs.size())
    raise<domain_error>(function, "pairs[", bad / 2, "].", bad % 2 == 0 ? "chosen" : "rejected", " is ", on.read(ids + bad),
                        ", must be in [0, ", responses - 1, "]");
}

INFALIGN_KEYED inline void check_scale(std::string_view function, double scale) {
  expects<domain_error>(scale - scale == 0, function, "scale is ", scale, ", must be finite");
}

}  // namespace infalign::detail
