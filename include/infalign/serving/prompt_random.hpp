// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "infalign/core/config.hpp"
#include "infalign/core/rng.hpp"

namespace infalign {

/// What a random number is for. Each use has numbers of its own.
enum class random_use : std::uint64_t { sample = 1, count, choice, noise, token };

/// The random numbers of one prompt. They depend on the seed, the prompt's number, the use and the indices alone: not on what else is
/// in a batch, nor on the order in which they are asked for.
class INFALIGN_KEYED prompt_random {
 public:
  prompt_random(std::uint64_t seed, std::uint64_t prompt) : seed_(seed), prompt_(prompt) {}

  /// 64 random bits for the indices i < 2^30 and j < 2^30.
  [[nodiscard]] std::uint64_t bits(random_use use, index_t i, index_t j = 0) const {
    const std::uint64_t at =
        (static_cast<std::uint64_t>(use) << 60) | (static_cast<std::uint64_t>(i) << 30) | static_cast<std::uint64_t>(j);
    const philox4x32 block(prompt_, at, seed_);
    return (std::uint64_t{block.word[0]} << 32) | block.word[1];
  }
  /// Uniform on (0, 1): an odd multiple of 2^-53.
  [[nodiscard]] double uniform(random_use use, index_t i = 0, index_t j = 0) const {
    return (static_cast<double>(bits(use, i, j) >> 12) + 0.5) * 0x1.0p-52;
  }
  /// One of 0 … n - 1. Probabilities are equal up to a relative `n·2^-52`.
  [[nodiscard]] index_t below(index_t n, random_use use, index_t i = 0) const {
    const auto k = static_cast<index_t>(uniform(use, i) * static_cast<double>(n));
    return k < n ? k : n - 1;
  }
  /// A standard Gumbel variable, `-log(-log U)`: the largest of `a_i + G_i` is that of i with probability `e^{a_i}/Σ e^{a_j}`.
  [[nodiscard]] double gumbel(random_use use, index_t i) const { return -std::log(-std::log(uniform(use, i))); }

 private:
  std::uint64_t seed_;
  std::uint64_t prompt_;
};

}  // namespace infalign
