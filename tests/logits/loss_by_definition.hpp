// SPDX-License-Identifier: Apache-2.0
/// \file
/// Losses of one row of logits by their definitions, in long double, and their gradients by finite differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign::test {

using numbers = std::vector<long double>;

template <class T>
numbers wide(const T* values, index_t n) {
  return numbers(values, values + n);
}
template <class T>
numbers wide(const std::vector<T>& values) {
  return numbers(values.begin(), values.end());
}

inline numbers log_softmax(const numbers& logits) {
  const long double top = *std::max_element(logits.begin(), logits.end());
  long double sum = 0;
  for (const long double l : logits) sum += std::exp(l - top);
  numbers result;
  for (const long double l : logits) result.push_back(l - top - std::log(sum));
  return result;
}

inline long double entropy(const numbers& logits) {
  long double sum = 0;
  for (const long double log_p : log_softmax(logits))
    if (std::exp(log_p) > 0) sum -= std::exp(log_p) * log_p;
  return sum;
}

inline long double kl(const numbers& logits, const numbers& base) {
  const numbers log_p = log_softmax(logits), log_q = log_softmax(base);
  long double sum = 0;
  for (std::size_t j = 0; j < log_p.size(); ++j)
    if (std::exp(log_p[j]) > 0) sum += std::exp(log_p[j]) * (log_p[j] - log_q[j]);
  return sum;
}

/// One token's share of the loss: `scale·[loss(log π(a)) + β·KL - η·H]`.
template <class PolicyLoss>
struct row_loss {
  PolicyLoss policy_loss;  ///< of the log-probability
  numbers base;            ///< empty: none
  std::size_t token;
  long double beta = 0;
  long double eta = 0;
  long double scale = 1;

  long double operator()(const numbers& logits) const {
    long double sum = policy_loss(log_softmax(logits)[token]);
    if (beta > 0) sum += beta * kl(logits, base);
    if (eta > 0) sum -= eta * entropy(logits);
    return scale * sum;
  }
};
template <class PolicyLoss>
row_loss(PolicyLoss, numbers, std::size_t, long double, long double, long double) -> row_loss<PolicyLoss>;

/// Central difference with respect to coordinate `j`. In long double the step of 1e-5 leaves a truncation error of 1e-10 and a
/// rounding error of 1e-14, relative to the size of the function and its derivatives.
template <class Function>
long double central_difference(const Function& f, numbers at, std::size_t j) {
  const long double centre = at[j];
  const long double h = 1e-5L;
  at[j] = centre + h;
  const long double above = f(at);
  at[j] = centre - h;
  return (above - f(at)) / (2 * h);
}

}  // namespace infalign::test
