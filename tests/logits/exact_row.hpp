// SPDX-License-Identifier: Apache-2.0
/// \file
/// The truth about a row of logits: rows of which integers decide every bit, and what they give in long double by formulas in which
/// nothing cancels. `exact_rows.py` makes the same rows and checks that truth with 50 digits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "infalign/core/math.hpp"
#include "infalign/logits/row_gradient.hpp"

namespace infalign::test {

/// How a row is made. With `n` and `m` drawn for every column, the logits are `offset + spread·n` and
/// `base_offset + spread·n + noise·m`; `n` has a standard deviation of 37,837 before its lowest bits are dropped, `m` is uniform on
/// -reach … reach. Powers of two keep all of this exact.
struct row_case {
  index_t columns;
  double spread = 0;
  double noise = 0;
  std::int64_t reach = 1;
  double offset = 0;
  double base_offset = 0;
  double lift = 0;  ///< added to column `lifted` in both rows
  double bump = 0;  ///< added there to the base's row alone
  index_t lifted = 0;
  index_t masked = 0;  ///< so many columns before the last one are -inf in both rows
  int dropped = 0;     ///< how many bits of `n`
};

/// The draws of column `j`: splitmix64, then the sum of four numbers of 16 bits, which is nearly normal.
inline std::uint64_t row_bits(std::uint64_t j) {
  std::uint64_t z = (j + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
inline double row_draw(index_t j, int dropped) {
  const std::uint64_t z = row_bits(2 * static_cast<std::uint64_t>(j));
  const std::uint64_t sum = (z & 0xffff) + ((z >> 16) & 0xffff) + ((z >> 32) & 0xffff) + (z >> 48);
  return static_cast<double>((static_cast<std::int64_t>(sum) - 131070) >> dropped);
}
inline double row_noise(index_t j, std::int64_t reach) {
  const std::uint64_t z = row_bits(2 * static_cast<std::uint64_t>(j) + 1);
  return static_cast<double>(static_cast<std::int64_t>((z >> 11) % static_cast<std::uint64_t>(2 * reach + 1)) - reach);
}

/// The two rows as a type stores them.
template <class L>
struct row_pair {
  std::vector<L> policy;
  std::vector<L> base;
  bool is_exact = true;  ///< whether the type holds every logit unrounded

  explicit row_pair(const row_case& c) {
    for (index_t j = 0; j < c.columns; ++j) {
      const double lift = j == c.lifted ? c.lift : 0, bump = j == c.lifted ? c.bump : 0;
      const double n = c.spread * row_draw(j, c.dropped) + lift;
      const double m = c.noise * row_noise(j, c.reach) + bump;
      const bool is_masked = j + 1 < c.columns && j + 1 + c.masked >= c.columns;
      add(policy, is_masked ? -infinity<double> : c.offset + n);
      add(base, is_masked ? -infinity<double> : c.base_offset + (n + m));
    }
  }

 private:
  void add(std::vector<L>& row, double logit) {
    row.push_back(static_cast<L>(static_cast<compute_t<L>>(logit)));
    is_exact = is_exact && static_cast<double>(static_cast<compute_t<L>>(row.back())) == logit;
  }
};

/// `e^x - 1 - x` without cancellation.
inline long double exact_remainder(long double x) {
  if (std::abs(x) > 0.0625L) return std::expm1(x) - x;
  long double sum = 0;
  for (int k = 15; k >= 2; --k) sum = (sum * x + 1) / static_cast<long double>(k);  // 1/k! as nested quotients
  return sum * x * x;
}

/// A sum whose rounding errors are carried along: those of thousands of equal terms would add up.
struct exact_sum {
  long double value = 0;
  long double lost = 0;
  void add(long double term) {
    const long double carried = term - lost, next = value + carried;
    lost = (next - value) - carried;
    value = next;
  }
};

/// What a row gives. The largest logit stands apart in the sums, so that probabilities next to 1 keep the digits of their
/// complements.
class exact_row {
 public:
  long double kl = 0;
  long double entropy = 0;

  template <class L>
  exact_row(const std::vector<L>& policy, const std::vector<L>& base) : policy_(policy), base_(base) {
    exact_sum of_entropy, of_kl;
    for (std::size_t j = 0; j < policy.size(); ++j) {
      const long double p = probability(j);
      if (p > 0) of_entropy.add(-p * log_prob(j));
      of_kl.add(p > 0 ? p * exact_remainder(log_ratio(j)) : std::exp(base_log_prob(j)));
    }
    entropy = of_entropy.value;
    kl = of_kl.value;
  }
  [[nodiscard]] long double log_prob(std::size_t j) const { return policy_.depth[j] - policy_.log_sum; }
  [[nodiscard]] long double base_log_prob(std::size_t j) const { return base_.depth[j] - base_.log_sum; }
  [[nodiscard]] long double probability(std::size_t j) const { return policy_.mass[j] / policy_.sum; }
  /// `log q_j - log p_j`
  [[nodiscard]] long double log_ratio(std::size_t j) const {
    return (base_.depth[j] - policy_.depth[j]) - (base_.log_sum - policy_.log_sum);
  }
  /// The position of the largest logit.
  [[nodiscard]] std::size_t likeliest() const { return policy_.top; }
  /// The largest logits.
  [[nodiscard]] long double top() const { return policy_.largest; }
  [[nodiscard]] long double base_top() const { return base_.largest; }
  /// How far a logit lies below the largest.
  [[nodiscard]] long double depth(std::size_t j) const { return -policy_.depth[j]; }
  [[nodiscard]] long double base_depth(std::size_t j) const { return -base_.depth[j]; }

  /// The gradient with respect to logit `j`, if `token` was sampled.
  [[nodiscard]] long double gradient(std::size_t j, std::size_t token, const row_coefficients& c) const {
    const long double p = probability(j);
    const long double own = j == token ? c.score * std::expm1(log_prob(j)) : c.score * p;
    return p > 0 ? own + p * (c.kl * (-log_ratio(j) - kl) + c.entropy * (log_prob(j) + entropy)) : own;
  }

 private:
  struct side {
    std::size_t top;
    long double largest;
    std::vector<long double> depth;  ///< logits less the largest
    std::vector<long double> mass;   ///< their exponentials
    long double sum;
    long double log_sum;

    template <class L>
    explicit side(const std::vector<L>& logits) : top(0), largest(0), sum(0), log_sum(0) {
      for (const L l : logits) depth.push_back(static_cast<long double>(static_cast<compute_t<L>>(l)));
      top = static_cast<std::size_t>(std::max_element(depth.begin(), depth.end()) - depth.begin());
      largest = depth[top];
      exact_sum rest;
      for (std::size_t j = 0; j < depth.size(); ++j) {
        depth[j] -= largest;
        mass.push_back(std::exp(depth[j]));
        if (j != top) rest.add(mass[j]);
      }
      sum = 1 + rest.value;
      log_sum = std::log1p(rest.value);
    }
  };
  side policy_;
  side base_;
};

}  // namespace infalign::test
