// SPDX-License-Identifier: Apache-2.0
/// \file
/// The two passes over a batch of logits on a backend. Between them the caller does what its objective needs: a loss of pairs,
/// an exchange between ranks that hold shards of the vocabulary, a weight for each sequence.
///
/// \code
/// infalign::read_logits(on, batch, {.kl = true}, states);       // pass 1: one row_state a token
/// … states of other shards are merged: states[t].merge(theirs[t]) …
/// infalign::finish_rows(on, {.kl = true}, states, statistics);       // log-probabilities, KL, entropy
/// … coefficients[t] = {.score = …, .kl = …} from whatever the objective is …
/// infalign::write_logit_gradient(on, batch, statistics, coefficients, gradient);  // pass 2
/// \endcode
///
/// Losses of single tokens need none of this: `policy_gradient` runs both passes while a row is in cache.
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/logits/read_row.hpp"
#include "infalign/logits/row_gradient.hpp"
#include "infalign/logits/row_statistics.hpp"
#include "infalign/logits/token_logits.hpp"

namespace infalign {

namespace detail {

template <class Terms, class L, class Space>
struct read_kernel {
  row_batch<L, Space> batch;
  row_state* states;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    if (batch.tokens.ignores(t)) return team.once([&] { states[t] = row_state{}; });
    kept_exponentials<compute_t<L>> none;
    const row_state state = read_row<Terms>(team, batch.policy[t].data(), batch.base_row(t), batch.policy[t].size(),
                                            batch.column(t), none, batch.map_of(t));
    team.once([&] { states[t] = state; });
  }
};

struct finish_kernel {
  const row_state* states;
  row_statistics* statistics;
  logit_terms terms;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    team.once([&] { statistics[t] = statistics_of(states[t], terms); });
  }
};

/// The second pass alone.
template <class Terms, class L, class G, class Space>
struct gradient_kernel {
  row_batch<L, Space> batch;
  const row_statistics* statistics;
  const row_coefficients* coefficients;
  any_rows<G, Space> gradient;
  token_weights<Space> weights{};  ///< 0: the row is left out

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    if (batch.tokens.ignores(t) || weights[t] == 0) return clear_row(team, gradient[t].data(), gradient[t].size());
    write_gradient<Terms>(team, batch.policy[t].data(), batch.base_row(t), batch.policy[t].size(), batch.column(t),
                          statistics[t], coefficients[t], kept_exponentials<compute_t<L>>{}, gradient[t].data(),
                          batch.map_of(t));
  }
};

/// The second pass, once the arguments are checked. `entropy`: whether a coefficient of the entropy may differ from 0.
template <class B, class L, class G, class Space>
void run_gradient(B& on, const row_batch<L, Space>& batch, bool entropy, const row_statistics* statistics,
                  const row_coefficients* coefficients, const any_rows<G, Space>& gradient,
                  const token_weights<Space>& weights = {}) {
  with_terms(batch, entropy, [&]<class Terms>(Terms) {
    on.groups(batch.policy.size(), logits_cost(batch),
              gradient_kernel<Terms, L, G, Space>{batch, statistics, coefficients, gradient, weights});
  });
}

/// One value a token.
template <class T, class Space>
INFALIGN_KEYED void check_count(std::string_view function, std::string_view name, const span<T, Space>& values,
                                index_t tokens) {
  expects_span(function, name, values);
  expects<shape_error>(values.size() == tokens, function, name, " has ", values.size(), " values, but there are ", tokens,
                       " tokens");
}

}  // namespace detail

/// Pass 1: the state of every row, with the sums that the wanted terms need. A base policy is read only for its KL.
///
/// - Shapes: `batch` T×V logits; `states` T values. A token id of -1 means that the row is a part of the vocabulary (a shard)
///   that does not hold its token. `row_state::merge` puts parts together, in any order.
/// - A logit of -inf is a masked token: its probability is 0. NaN logits give NaN for their row alone.
/// - A row whose id is left out is not read, and its state is that of an empty row.
/// - Cost: each logit is read once from memory.
/// - Errors: `shape_error`; `domain_error` for an id out of range, or a KL without a base policy. They are thrown before
///   anything is written.
/// - Deterministic; equal for every number of threads.
template <backend B, class L, class Space, class States>
  requires reachable_from<B, token_logits<L, Space>>
void read_logits(B&& on, const token_logits<L, Space>& batch, logit_terms terms, States&& states) {
  const span out(states);
  static_assert(reachable_from<B, decltype(out)>, "the views must live in the memory of the backend");
  detail::check_logits(on, "read_logits", batch, -1);
  detail::check_count("read_logits", "states", out, batch.tokens.size());
  detail::check_apart_from_batch("read_logits", "states", out, batch);
  expects<domain_error>(!terms.kl || !batch.base.empty() || batch.policy.empty(), "read_logits",
                        "terms.kl is set, needs base logits");
  detail::with_kept_rows(on, batch, token_weights<Space>(), [&](const detail::row_batch<L, Space>& rows_read) {
    detail::with_terms(terms, [&]<class Terms>(Terms) {
      on.groups(out.size(), detail::logits_cost(rows_read), detail::read_kernel<Terms, L, Space>{rows_read, out.data()});
    });
  });
}

/// The statistics of rows whose state is complete. `terms` must be those that were read: the KL of rows that were read without
/// a base policy is NaN, an entropy that was not read is unspecified. Shapes: both T values. Cost: a few logarithms a row. Errors:
/// `shape_error`.
template <backend B, class States, class Statistics>
void finish_rows(B&& on, logit_terms terms, const States& states, Statistics&& statistics) {
  const span in(states);
  const span out(statistics);
  static_assert(reachable_from<B, decltype(in), decltype(out)>, "the views must live in the memory of the backend");
  detail::check_count("finish_rows", "statistics", out, in.size());
  detail::expects_span("finish_rows", "states", in);
  detail::expects_apart("finish_rows", "statistics", out, "states", in);
  on.groups(in.size(), 64 * in.size(), detail::finish_kernel{in.data(), out.data(), terms});
}

/// Pass 2: the gradient with respect to every logit. It takes the statistics of whole rows and the caller's coefficients (see
/// `row_coefficients`).
///
/// - Shapes: `batch` T×V logits; `statistics` and `coefficients` T values; `gradient` T×V, of any `rowwise` view. A shard gives
///   its part of the vocabulary, with token ids of -1 where the token lies elsewhere. `gradient` may be the policy's logits
///   themselves.
/// - A row whose id is left out gets a gradient of 0.
/// - `statistics` must hold every term whose coefficient is not 0. A KL coefficient is not used if `batch` has no base policy.
/// - Cost: logits are read once, gradients written once. Errors: `shape_error`, `domain_error`, before anything is written.
template <backend B, class L, class Space, class Statistics, class Coefficients, rowwise Gradient>
  requires reachable_from<B, token_logits<L, Space>>
void write_logit_gradient(B&& on, const token_logits<L, Space>& batch, const Statistics& statistics,
                          const Coefficients& coefficients, const Gradient& gradient) {
  constexpr std::string_view function = "write_logit_gradient";
  const span s(statistics);
  const span c(coefficients);
  const any_rows out(gradient);
  static_assert(reachable_from<B, decltype(s), decltype(c), decltype(out)>, "the views must live in the memory of the backend");
  detail::check_logits(on, function, batch, -1);
  detail::check_gradient(on, function, out, batch);
  detail::expects_apart(function, "gradient", out, "statistics", s);
  detail::expects_apart(function, "gradient", out, "coefficients", c);
  detail::check_count(function, "statistics", s, batch.tokens.size());
  detail::check_count(function, "coefficients", c, batch.tokens.size());
  detail::with_kept_rows(on, batch, token_weights<Space>(), [&](const detail::row_batch<L, Space>& rows_read) {
    detail::with_kept_gradient(on, batch.kept, out, [&](const auto& rows_out) {
      detail::run_gradient(on, rows_read, true, s.data(), c.data(), rows_out);
    });
  });
}

}  // namespace infalign
