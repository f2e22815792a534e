// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <infalign/serving.hpp>
#include <vector>

#include "support/samples.hpp"

namespace infalign::test {

/// A number in [0, 1) from the bits that a request carries.
inline double uniform_of(std::uint64_t seed) {
  return static_cast<double>(seed >> 11) * 0x1p-53;
}

/// One of the outcomes, from a number in [0, 1).
inline index_t outcome_of(const std::vector<double>& probabilities, double u) {
  index_t at = 0;
  for (; at + 1 < static_cast<index_t>(probabilities.size()); ++at)
    if ((u -= probabilities[static_cast<std::size_t>(at)]) < 0) break;
  return at;
}

/// A policy whose responses are 0 … n - 1 with given probabilities, in batches.
struct finite_policy {
  std::vector<double> probabilities;
  std::vector<index_t> operator()(span<const sample_request> requests) const {
    std::vector<index_t> responses;
    for (const sample_request& r : requests) responses.push_back(outcome_of(probabilities, uniform_of(r.seed)));
    return responses;
  }
};

/// The reward of each of its responses.
struct finite_reward {
  std::vector<double> rewards;
  std::vector<double> operator()(span<const sample_request>, span<const index_t> responses) const {
    std::vector<double> scores;
    for (const index_t y : responses) scores.push_back(rewards[static_cast<std::size_t>(y)]);
    return scores;
  }
};

/// A policy whose rewards are uniform, and its reward.
inline std::vector<double> uniform_policy(span<const sample_request> requests) {
  std::vector<double> responses;
  for (const sample_request& r : requests) responses.push_back(uniform_of(r.seed));
  return responses;
}
inline std::vector<double> own_reward(span<const sample_request>, span<const double> responses) {
  return {responses.begin(), responses.end()};
}

/// Whether a share of n draws is a probability's, within 4 standard errors.
inline bool is_share(double share, double probability, index_t n) {
  return std::abs(share - probability) <= 4 * std::sqrt(probability * (1 - probability) / static_cast<double>(n)) + 1e-12;
}

/// Calls `visit(y, probability)` for all sequences y of n draws from the probabilities.
template <class Visit>
void for_each_draw(const std::vector<double>& probabilities, index_t n, const Visit& visit) {
  std::vector<index_t> y(static_cast<std::size_t>(n), 0);
  while (true) {
    double p = 1;
    for (const index_t i : y) p *= probabilities[static_cast<std::size_t>(i)];
    visit(y, p);
    std::size_t at = 0;
    while (at < y.size() && ++y[at] == static_cast<index_t>(probabilities.size())) y[at++] = 0;
    if (at == y.size()) return;
  }
}

/// Checks that what was served has the probabilities.
template <class Served>
void check_shares(const Served& result, const std::vector<double>& probabilities) {
  const auto n = static_cast<index_t>(result.prompts.size());
  std::vector<double> counts(probabilities.size(), 0.0);
  for (const auto& prompt : result.prompts) ++counts[static_cast<std::size_t>(prompt.response)];
  for (std::size_t y = 0; y < counts.size(); ++y) {
    CAPTURE(y);
    CAPTURE(counts[y] / static_cast<double>(n));
    CAPTURE(probabilities[y]);
    CHECK(is_share(counts[y] / static_cast<double>(n), probabilities[y], n));
  }
}

}  // namespace infalign::test
