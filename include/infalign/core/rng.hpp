// SPDX-License-Identifier: Apache-2.0
/// \file
/// Counter-based random numbers: a pure function of (seed, position), so a result does not depend on the number of
/// threads, on the backend, or on the order of evaluation.
#pragma once

#include <cstdint>

#include "infalign/core/config.hpp"

namespace infalign {

/// Philox4x32-10: four 32-bit words from a 128-bit counter and a 64-bit key.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
struct philox4x32 {
  std::uint32_t word[4];

  INFALIGN_HD constexpr philox4x32(std::uint64_t counter_low, std::uint64_t counter_high, std::uint64_t key)
      : word{static_cast<std::uint32_t>(counter_low), static_cast<std::uint32_t>(counter_low >> 32),
             static_cast<std::uint32_t>(counter_high), static_cast<std::uint32_t>(counter_high >> 32)} {
    std::uint32_t key0 = static_cast<std::uint32_t>(key);
    std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * word[0];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * word[2];
      const std::uint32_t next0 = static_cast<std::uint32_t>(product1 >> 32) ^ word[1] ^ key0;
      const std::uint32_t next2 = static_cast<std::uint32_t>(product0 >> 32) ^ word[3] ^ key1;
      word[1] = static_cast<std::uint32_t>(product1);
      word[3] = static_cast<std::uint32_t>(product0);
      word[0] = next0;
      word[2] = next2;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
  }
};

/// Uniform on [0, 1), a multiple of 2^-53, for the given position of the stream `seed`.
INFALIGN_HD constexpr double uniform_at(std::uint64_t seed, std::uint64_t position) {
  const philox4x32 block(position, 0, seed);
  const std::uint64_t bits = (std::uint64_t{block.word[0]} << 32) | block.word[1];
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

}  // namespace infalign
