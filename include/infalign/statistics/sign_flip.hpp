// SPDX-License-Identifier: Apache-2.0
/// \file
/// Whether paired differences have a mean other than 0: a test that holds its level for any number of prompts.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/rng.hpp"
#include "infalign/core/student_t.hpp"
#include "infalign/core/views.hpp"
#include "infalign/statistics/summary.hpp"

namespace infalign {

namespace detail {

/// Sums `Σ ±d_i` for any choice of signs: of each eight differences all 256 sums are tabulated, and a byte chooses one.
class signed_sums {
 public:
  explicit signed_sums(const std::vector<double>& differences) : tables_((differences.size() + 7) / 8) {
    for (std::size_t k = 0; k < tables_.size(); ++k)
      for (std::size_t signs = 0; signs < 256; ++signs) {
        double sum = 0;
        for (std::size_t i = 0; i < 8 && 8 * k + i < differences.size(); ++i)
          sum += (signs >> i & 1) != 0 ? -differences[8 * k + i] : differences[8 * k + i];
        tables_[k][signs] = sum;
      }
  }
  [[nodiscard]] std::size_t bytes() const { return tables_.size(); }
  /// `byte(k)` holds the signs of differences `8k … 8k + 7`.
  template <class Byte>
  [[nodiscard]] double sum(const Byte& byte) const {
    double sum = 0;
    for (std::size_t k = 0; k < tables_.size(); ++k) sum += tables_[k][byte(k)];
    return sum;
  }

 private:
  std::vector<std::array<double, 256>> tables_;
};

/// The share of all `2^m` choices of signs whose sum is at least as far from 0 as `least`.
inline double exact_sign_flip_share(const signed_sums& sums, std::size_t m, double least) {
  const std::uint64_t choices = std::uint64_t{1} << m;
  std::uint64_t extreme = 0;
  for (std::uint64_t signs = 0; signs < choices; ++signs)
    extreme += std::abs(sums.sum([&](std::size_t k) { return signs >> (8 * k) & 0xff; })) >= least ? 1u : 0u;
  return static_cast<double>(extreme) / static_cast<double>(choices);
}

/// The same share for random signs. The signs that were observed count as one more draw, without which the test would reject too
/// often, and the result could be 0.
inline double random_sign_flip_share(const signed_sums& sums, std::uint64_t draws, std::uint64_t seed, double least) {
  std::uint64_t extreme = 1;
  std::vector<std::uint32_t> words((sums.bytes() + 15) / 16 * 4);
  for (std::uint64_t draw = 0; draw < draws; ++draw) {
    for (std::size_t block = 0; 4 * block < words.size(); ++block) {
      const philox4x32 random(block, draw, seed);
      for (std::size_t i = 0; i < 4; ++i) words[4 * block + i] = random.word[i];
    }
    extreme += std::abs(sums.sum([&](std::size_t k) { return words[k / 4] >> (8 * (k % 4)) & 0xff; })) >= least ? 1u : 0u;
  }
  return static_cast<double>(extreme) / static_cast<double>(draws + 1);
}

}  // namespace detail

/// Two-sided p-value of the hypothesis that a difference is as likely as its negative, which holds where two policies are the same:
/// the share of all choices of signs for which `|Σ ±d_i| >= |Σ d_i|`. It is never 0, and at most α with a probability of at most α,
/// however few prompts there are and however their differences are distributed. Fewer than six cannot reach 5 %.
///
/// Differences of 0 do not matter. Of m others, all `2^m` choices are counted for m ≤ 20, and 99,999 random ones up to m = 16,384,
/// so that no result is below 1e-5. Beyond, it is the p-value of Student's t, which then agrees with it.
///
/// - Shapes: `differences` P ≥ 1 numbers, in host memory. `seed`: of the random choices, the same result for the same seed.
/// - Cost: `2^m·m/8` or `10^5·m/8` additions: 3 ms for 200 prompts, 0.5 s at most. Memory: 256·m bytes.
/// - Errors: `shape_error` if there are no differences, `domain_error` for NaN or infinity.
/// - Source: Fisher, The Design of Experiments (1935), section 21; the count of random draws: Phipson and Smyth, Statistical
///   Applications in Genetics and Molecular Biology 9 (2010).
INFALIGN_KEYED inline double sign_flip_p_value(span<const double> differences, std::uint64_t seed = 0) {
  constexpr const char* function = "sign_flip_p_value";
  constexpr std::size_t most_counted = 20, most_drawn = 16'384;
  constexpr std::uint64_t draws = 99'999;
  expects<shape_error>(!differences.empty(), function, "differences is empty");
  std::vector<double> nonzero;
  summary seen;
  double largest = 0;
  for (index_t i = 0; i < differences.size(); ++i) {
    const double d = differences[i];
    expects<domain_error>(std::isfinite(d), function, "differences[", i, "] is ", d, ", must be finite");
    seen.add(d);
    if (d != 0) nonzero.push_back(d);
    largest = std::abs(d) > largest ? std::abs(d) : largest;
  }
  double sum = 0, magnitude = 0;
  for (double& d : nonzero) {
    d /= largest;  // so that no sum overflows
    sum += d;
    magnitude += std::abs(d);
  }
  // Sums that are equal but for rounding count as equal.
  const double least = std::abs(sum) - 1e-12 * magnitude;
  if (nonzero.size() > most_drawn) {
    const estimate mean = estimate_of(seen);
    const double p = 2 * student_t_cdf(-std::abs(mean.value) / mean.standard_error, static_cast<double>(mean.count - 1));
    return p > 0 ? p : std::numeric_limits<double>::min();
  }
  const detail::signed_sums sums(nonzero);
  return nonzero.size() <= most_counted ? detail::exact_sign_flip_share(sums, nonzero.size(), least)
                                        : detail::random_sign_flip_share(sums, draws, seed, least);
}

}  // namespace infalign
