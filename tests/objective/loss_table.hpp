// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every policy loss of the library as a line of a table, and responses to call it with.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "infalign/objective/losses.hpp"

namespace infalign::test {

/// What is known of the tokens of a response. One advantage for all.
struct response {
  std::vector<double> log_prob, old_log_prob, base_log_prob;
  double advantage;
};

/// What `sequence_policy_gradient` tells a loss of the tokens of a response.
template <class Loss>
std::vector<token_row> rows_of(const Loss& loss, const response& y) {
  std::vector<token_row> rows(y.log_prob.size());
  const auto n = static_cast<double>(rows.size());
  double log_ratio = 0, term = 0;
  for (std::size_t t = 0; t < rows.size(); ++t) {
    rows[t].log_prob = y.log_prob[t];
    rows[t].old_log_prob = y.old_log_prob[t];
    rows[t].base_log_prob = y.base_log_prob.empty() ? 0 : y.base_log_prob[t];
    rows[t].advantage = y.advantage;
    rows[t].position = static_cast<index_t>(t);
    rows[t].sequence_length = static_cast<index_t>(rows.size());
    log_ratio += (y.log_prob[t] - y.old_log_prob[t]) / n;
    if constexpr (detail::has_sequence_term<Loss>) term += loss.sequence_term(rows[t]) / n;
  }
  for (token_row& row : rows) row.sequence_log_ratio = log_ratio, row.sequence_term = term;
  return rows;
}

struct loss_entry {
  std::string name;
  std::function<std::vector<loss_value>(const response&)> values;  ///< of each token
  bool detached;  ///< whether the loss weights log π by something that is not differentiated
};

template <class Loss>
loss_entry entry(std::string name, const Loss& loss, bool detached = false) {
  const auto values = [loss](const response& y) {
    std::vector<loss_value> of_tokens;
    for (const token_row& row : rows_of(loss, y)) of_tokens.push_back(loss(row));
    return of_tokens;
  };
  return {std::move(name), values, detached};
}

/// The losses, by the names that make_loss_values.py gives them.
inline std::vector<loss_entry> every_loss() {
  return {
      entry("reinforce", reinforce{}),
      entry("clipped_surrogate", clipped_surrogate(0.2, 0.28)),
      entry("clipped_surrogate, verl", clipped_surrogate(0.2, 0.2, {.dual_clip = 3, .log_ratio = {-20, 20}})),
      entry("clipped_surrogate, TRL's delta", clipped_surrogate(0.2, 0.2, {.delta = 1.5})),
      entry("clipped_surrogate, a small delta", clipped_surrogate(0.2, 0.5, {.delta = 1.1})),
      entry("gspo", gspo(0.003, 0.2)),
      entry("gspo, verl", gspo(0.003, 0.2, {.log_ratio = {.high = 10}})),
      entry("response_surrogate", response_surrogate(0.2, 0.3)),
      entry("cispo, verl", cispo(0.8, 1.2, {-20, 20}), true),
      entry("cispo, TRL", cispo(0, 5), true),
      entry("sapo", sapo()),
      entry("sapo, verl", sapo(0.7, 2, {-20, 20})),
      entry("gmpo", gmpo(0.4, 0.3)),
      entry("vespo", vespo(), true),
      entry("reinforce, truncated weights", importance_weighted(reinforce{}, {.high = 2, .low = 0.5}), true),
      entry("cispo, masked weights of responses",
            importance_weighted(cispo(0, 5), {weight_rule::mask, 3, 0.2, weight_level::sequence}), true),
      entry("vespo, truncated mean weights", importance_weighted(vespo(), {.high = 1.5, .level = weight_level::sequence_mean}),
            true),
  };
}

/// Responses at random, and with ratios at and around every bound of the losses above.
inline std::vector<response> trying_responses() {
  std::mt19937_64 generator(11);
  std::normal_distribution<double> normal;
  const double special[] = {
      0,  1e-9, -1e-9, std::log(0.8), std::log(1.2), std::log(1.28), std::log(1.5), std::log(3.0),  0.3, -0.4,         5, -5,
      10, 10.5, 20,    -20,           20.5,          -20.5,          -40,           -std::log(2.0), 0.1, std::log(5.0)};
  std::vector<response> responses;
  for (const double advantage : {0.0, 1.0, -1.0, 0.02, -30.0})
    for (const std::size_t length : {1U, 2U, 7U})
      for (const double offset : special) {
        response y{{}, {}, {}, advantage};
        for (std::size_t t = 0; t < length; ++t) {
          const double log_prob = -std::abs(2 * normal(generator));
          y.log_prob.push_back(log_prob);
          y.old_log_prob.push_back(log_prob - offset - (t == 0 ? 0 : 0.3 * normal(generator)));
          y.base_log_prob.push_back(log_prob + normal(generator));
        }
        responses.push_back(y);
      }
  return responses;
}

/// Finite log-probabilities and advantages of any size.
inline std::vector<response> extreme_responses() {
  std::vector<response> responses;
  const double log_probs[] = {0, -1, -80, -800, -1e4, -1e15, -1e300, 1e-9};
  for (const double advantage : {0.0, 1.0, -1.0, 1e-300, -1e-300, 1e30, -1e300})
    for (const double now : log_probs)
      for (const double old : log_probs)
        for (const double base : log_probs) {
          responses.push_back({{now}, {old}, {base}, advantage});
          responses.push_back({{now, old}, {old, -2}, {base, now}, advantage});
        }
  return responses;
}

}  // namespace infalign::test
