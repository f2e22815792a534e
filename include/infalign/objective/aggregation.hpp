// SPDX-License-Identifier: Apache-2.0
/// \file
/// How the losses of tokens become the loss of a batch: every trainer's way as a weight for each token.
#pragma once

#include <limits>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/shapes.hpp"

namespace infalign {

/// What the losses of a batch are divided by. They add over parts: over the micro-batches of an accumulated gradient, and over ranks.
/// `merge` the counts of all parts, and take the weights of each part from the whole.
struct response_counts {
  index_t responses = 0;  ///< all of them
  index_t nonempty = 0;   ///< those with a token that counts
  double tokens = 0;      ///< `Σ m`: the tokens that count

  void merge(const response_counts& other) {
    responses += other.responses;
    nonempty += other.nonempty;
    tokens += other.tokens;
  }
  bool operator==(const response_counts&) const = default;
};

/// With the mask m of a token, `n = Σ m` of its response, `N = Σ n` tokens and R responses in the whole batch, the weight of a token is
enum class aggregation {
  token_mean,                   ///< `m/N`: DAPO; BNPO, where N is of the micro-batch; verl `token-mean`
  sequence_mean_of_token_sums,  ///< `m/R`: verl `seq-mean-token-sum`
  sequence_mean_of_token_means  ///< `m/(n·R)`: GRPO; verl `seq-mean-token-mean`
};

/// Which responses R counts: fully masked ones too (TRL, Liger), or those with a token (verl, OpenRLHF).
enum class counted_responses { all, nonempty };

namespace detail {

/// The number of tokens of each response.
template <class Mask>
struct response_tokens_kernel {
  Mask mask;
  double* tokens;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    const auto m = mask[r];
    const double sum = team.sum_items(m.size(), [&](index_t i) { return static_cast<double>(m[i]); });
    team.once([&] { tokens[r] = sum; });
  }
};
template <class M>
response_tokens_kernel(M, double*) -> response_tokens_kernel<M>;

struct response_counts_kernel {
  const double* tokens;
  index_t responses;
  response_counts* out;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t) const {
    const double all = team.sum_items(responses, [&](index_t r) { return tokens[r]; });
    const double nonempty = team.sum_items(responses, [&](index_t r) { return tokens[r] > 0 ? 1.0 : 0.0; });
    team.once([&] { *out = {responses, static_cast<index_t>(nonempty), all}; });
  }
};

template <class Mask, class Out>
struct aggregation_kernel {
  Mask mask;
  Out out;
  double divisor;
  bool by_length;
  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t r) const {
    using S = typename Out::value_type;
    const auto m = mask[r];
    const auto weights = out[r];
    double each = divisor;
    if (by_length) each *= team.sum_items(m.size(), [&](index_t i) { return static_cast<double>(m[i]); });
    team.items(m.size(), [&](index_t i) {
      const auto token = static_cast<double>(m[i]);
      weights[i] = static_cast<S>(static_cast<compute_t<S>>(token == 0 ? 0 : token / each));
    });
  }
};
template <class M, class O>
aggregation_kernel(M, O, double, bool) -> aggregation_kernel<M, O>;

template <class B, class Mask>
void check_response_mask(B& on, std::string_view function, const Mask& mask) {
  expects_groups(on, function, "mask", mask);
  expects_each<is_negative_or_not_finite>(on, function, "mask", mask, "finite and not negative");
}

template <class B, class Mask, class Out>
void run_aggregation(B& on, std::string_view function, const Mask& mask, double divisor, bool by_length, const Out& out) {
  check_response_mask(on, function, mask);
  expects_groups(on, function, "out", out);
  expects_same_shape(on, function, "out", out, "mask", mask);
  expects_apart(function, "out", out, "mask", mask);
  on.groups(mask.size(), 2 * mask.total(), aggregation_kernel{any_groups(mask), any_groups(out), divisor, by_length});
}

}  // namespace detail

/// The counts of a batch, or of a part of it. Waits for the result.
///
/// Shapes: `mask` R groups (rows or ragged), 1 for a token that counts and 0 for one that does not, or any weights that are not
/// negative. Cost: one read. Errors: `shape_error`; `domain_error` for a value that is negative or not finite.
template <backend B, grouped Mask>
  requires reachable_from<B, Mask>
response_counts count_responses(B&& on, const Mask& mask) {
  detail::check_response_mask(on, "count_responses", mask);
  if (mask.empty()) return {};
  auto frame = on.scratch();
  double* const tokens = frame.template take<double>(mask.size());
  auto* const counts = frame.template take<response_counts>(1);
  on.groups(mask.size(), mask.total(), detail::response_tokens_kernel{any_groups(mask), tokens});
  on.groups(1, mask.size(), detail::response_counts_kernel{tokens, mask.size(), counts});
  return on.read(counts);
}

/// The weight of every token with which the sum of losses is the loss of the batch, to be handed on by `token_data::weighted_by`.
///
/// \code
/// infalign::response_counts whole;                                      // of all micro-batches and ranks
/// for (const auto& part : parts) whole.merge(infalign::count_responses(on, part.mask));
/// infalign::aggregation_weights(on, mask, infalign::aggregation::token_mean, whole, weights);  // of one part
/// \endcode
///
/// With the counts of the part itself, the mean is that of the part, and the mean of such means over parts of different sizes is not the
/// mean of the whole (TRL 5619).
///
/// - Shapes: `mask` and `out` R groups of the same lengths, as in `count_responses`. Tokens that do not count get 0.
/// - Range: the weights of the whole batch add up to 1, except for `sequence_mean_of_token_sums` (N/R), and for fully masked responses
///   among `counted_responses::all`. A batch without a token gets 0 throughout.
/// - Error: a weight is computed in `double`, with two roundings, and rounded to its type. Counts of whole numbers are exact.
/// - Cost: two reads, one write. Errors: `shape_error`, also if `whole` has fewer responses than `mask`; `domain_error` for a mask that is negative or not finite, before anything is
///   written.
template <backend B, grouped Mask, writable_groups Out>
  requires reachable_from<B, Mask, Out>
void aggregation_weights(B&& on, const Mask& mask, aggregation how, const response_counts& whole, const Out& out,
                         counted_responses counted = counted_responses::nonempty) {
  expects<shape_error>(whole.responses >= mask.size(), "aggregation_weights", "whole has ", whole.responses,
                       " responses, but mask has ", mask.size(), " of them");
  const double responses = static_cast<double>(counted == counted_responses::all ? whole.responses : whole.nonempty);
  const double divisor = how == aggregation::token_mean ? whole.tokens : responses;
  detail::run_aggregation(on, "aggregation_weights", mask, divisor, how == aggregation::sequence_mean_of_token_means, out);
}

/// The same weight `m/divisor` for every token that counts: `B·L_max` for Dr.GRPO, `L_max` for verl's `seq-mean-token-sum-norm`.
/// Errors: as `aggregation_weights`, and `domain_error` unless the divisor is positive and finite.
template <backend B, grouped Mask, writable_groups Out>
  requires reachable_from<B, Mask, Out>
void constant_weights(B&& on, const Mask& mask, double divisor, const Out& out) {
  constexpr const char* function = "constant_weights";
  expects<domain_error>(divisor > 0 && divisor - divisor == 0, function, "divisor is ", divisor,
                        ", must be positive and finite");
  detail::run_aggregation(on, function, mask, divisor, false, out);
}

}  // namespace infalign
