// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tie rules: the share that a reference reward counts for if it equals the scored reward.
#pragma once

#include <cstdint>

#include "infalign/core/config.hpp"
#include "infalign/core/rng.hpp"

namespace infalign {

/// A reference equal to the scored reward counts as the share `v` of one: the calibrated reward is
/// `(#{z < y} + v·#{z = y}) / K`.
///
/// | rule                 | v            | the calibrated reward is                                                     |
/// |----------------------|--------------|------------------------------------------------------------------------------|
/// | `mid_rank` (default) | ½            | the win rate against the base policy, `E[w_r(y, z)]`; InfAlign's definition   |
/// | `below`              | 0            | `P(r(z) < r(y))`                                                             |
/// | `at_or_below`        | 1            | the empirical CDF, `P(r(z) ≤ r(y))`                                          |
/// | `randomized(seed)`   | Uniform(0,1) | uniform under the base policy even with ties (the randomised PIT)             |
///
/// Randomised shares are odd multiples of 2⁻³³ from a counter-based generator. They depend on the seed and on the position of the
/// reward in reading order alone, so they are the same for every backend and number of threads. Positions of a call begin at
/// `first`. Who calibrates in batches gives the number of rewards before a batch, `randomized(seed, done)`: otherwise every batch
/// gets the same shares.
struct tie_rule {
  enum class kind { mid_rank, below, at_or_below, randomized };

  kind rule = kind::mid_rank;
  std::uint64_t seed = 0;
  std::uint64_t first = 0;  ///< position of the first reward of a call, for randomised shares

  static constexpr tie_rule mid_rank() { return {}; }
  static constexpr tie_rule below() { return {kind::below, 0, 0}; }
  static constexpr tie_rule at_or_below() { return {kind::at_or_below, 0, 0}; }
  static constexpr tie_rule randomized(std::uint64_t seed, std::uint64_t first = 0) { return {kind::randomized, seed, first}; }
};

}  // namespace infalign
