// SPDX-License-Identifier: Apache-2.0
/// \file
/// Resamples of units: which are drawn, and the means over them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "infalign/core/config.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

/// Positions below `bound` for `4·lanes` draws: the words of the counters (first, stream) … of `philox4x32`, each scaled to the range.
/// The work goes counter by counter, so that the compiler uses SIMD registers.
struct resampled_positions {
  static constexpr std::size_t lanes = 32, size = 4 * lanes;
  std::uint32_t at[size];

  INFALIGN_KEYED void fill(std::uint64_t first, std::uint64_t stream, std::uint64_t seed, std::uint32_t bound) {
    std::uint32_t a[lanes], b[lanes], c[lanes], d[lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
      const std::uint64_t counter = first + l;
      a[l] = static_cast<std::uint32_t>(counter);
      b[l] = static_cast<std::uint32_t>(counter >> 32);
      c[l] = static_cast<std::uint32_t>(stream);
      d[l] = static_cast<std::uint32_t>(stream >> 32);
    }
    auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
      for (std::size_t l = 0; l < lanes; ++l) {
        const std::uint64_t p = std::uint64_t{0xD2511F53u} * a[l], q = std::uint64_t{0xCD9E8D57u} * c[l];
        a[l] = static_cast<std::uint32_t>(q >> 32) ^ b[l] ^ key0;
        b[l] = static_cast<std::uint32_t>(q);
        c[l] = static_cast<std::uint32_t>(p >> 32) ^ d[l] ^ key1;
        d[l] = static_cast<std::uint32_t>(p);
      }
    const auto scaled = [bound](std::uint32_t word) { return static_cast<std::uint32_t>((std::uint64_t{word} * bound) >> 32); };
    for (std::size_t l = 0; l < lanes; ++l) {
      at[l] = scaled(a[l]);
      at[lanes + l] = scaled(b[l]);
      at[2 * lanes + l] = scaled(c[l]);
      at[3 * lanes + l] = scaled(d[l]);
    }
  }
};

/// Means of the columns over one resample of the units.
INFALIGN_KEYED inline void resampled_means(rows<const double> columns, std::uint64_t resample, std::uint64_t seed,
                                           double* means) {
  constexpr std::size_t parts = 8;
  const index_t units = columns.columns();
  std::fill_n(means, columns.size(), 0.0);
  resampled_positions drawn;
  for (index_t begin = 0; begin < units; begin += static_cast<index_t>(resampled_positions::size)) {
    drawn.fill(static_cast<std::uint64_t>(begin / 4), resample, seed, static_cast<std::uint32_t>(units));
    const auto n = static_cast<std::size_t>(std::min<index_t>(units - begin, resampled_positions::size));
    for (index_t k = 0; k < columns.size(); ++k) {
      const double* const column = columns[k].data();
      double sums[parts] = {};
      std::size_t i = 0;
      for (; i + parts <= n; i += parts)
        for (std::size_t l = 0; l < parts; ++l) sums[l] += column[drawn.at[i + l]];
      for (; i < n; ++i) sums[0] += column[drawn.at[i]];
      means[k] += ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    }
  }
  for (index_t k = 0; k < columns.size(); ++k) means[k] /= static_cast<double>(units);
}

}  // namespace infalign::detail
