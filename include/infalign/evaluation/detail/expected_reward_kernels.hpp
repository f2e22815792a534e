// SPDX-License-Identifier: Apache-2.0
/// \file
/// The expected reward of what a procedure serves for one prompt, from ranks found by comparing or by sorting.
#pragma once

#include <cstddef>

#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"
#include "infalign/evaluation/detail/served_shares.hpp"

namespace infalign::detail {

/// What one sample adds: its reward times its part of the step of `G` at its value. Equal samples share one step.
template <class Share>
INFALIGN_HD double expected_reward_term(const Share& share, index_t m, value_ranks own, double reward) {
  const double step = share(own.at_or_below, m) - share(own.below, m);
  return step / static_cast<double>(own.at_or_below - own.below) * reward;
}

template <class Rewards, class Share>
struct expected_reward_by_counting {
  Rewards rewards;
  Share share;
  double* out;

  using T = compute_t<typename Rewards::value_type>;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = rewards[g];
    double sum = 0;
    index_t j = 0;
    for (; j + 4 <= y.size(); j += 4) sum += block<4>(team, y, j);
    for (; j < y.size(); ++j) sum += block<1>(team, y, j);
    team.once([&] { out[g] = sum; });
  }

 private:
  template <std::size_t Block, class Team, class Y>
  INFALIGN_HD double block(Team& team, Y y, index_t first) const {
    value_ranks own[Block];
    rank_by_counting<Block, T>(team, y, y.data() + first, own);
    return team.sum_items(
        Block, [&](index_t b) { return expected_reward_term(share, y.size(), own[b], static_cast<double>(y[first + b])); });
  }
};
template <class R, class S>
expected_reward_by_counting(R, S, double*) -> expected_reward_by_counting<R, S>;

/// The rewards of each prompt are sorted. Equal ones need not be found: each adds the step of `G` at its own position.
template <class Rewards, class Share>
struct expected_reward_of_sorted {
  Rewards rewards;
  Share share;
  double* out;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t g) const {
    const auto y = rewards[g];
    const double sum = team.sum_items(y.size(), [&](index_t j) {
      return expected_reward_term(share, y.size(), {j, j + 1}, static_cast<double>(y[j]));
    });
    team.once([&] { out[g] = sum; });
  }
};
template <class R, class S>
expected_reward_of_sorted(R, S, double*) -> expected_reward_of_sorted<R, S>;

}  // namespace infalign::detail
