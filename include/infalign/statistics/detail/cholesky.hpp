// SPDX-License-Identifier: Apache-2.0
/// \file
/// Small symmetric systems: as many rows as there are policies or covariates.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign::detail {

/// The factor L of a symmetric positive definite matrix `L·L'`, row by row; of one that is not, `is_positive()` is false.
class INFALIGN_KEYED cholesky {
 public:
  cholesky(std::vector<double> matrix, std::size_t size) : l_(std::move(matrix)), n_(size) {
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = at(i, j);
        for (std::size_t k = 0; k < j; ++k) sum -= at(i, k) * at(j, k);
        if (i == j) {
          positive_ = positive_ && sum > 1e-13 * at(i, i);
          at(i, i) = positive_ ? std::sqrt(sum) : 1;
        } else {
          at(i, j) = sum / at(j, j);
        }
      }
  }
  [[nodiscard]] bool is_positive() const { return positive_; }
  /// Solves `L·L'·x = b`, in place.
  void solve(double* b) const {
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t k = 0; k < i; ++k) b[i] -= at(i, k) * b[k];
      b[i] /= at(i, i);
    }
    for (std::size_t i = n_; i-- > 0;) {
      for (std::size_t k = i + 1; k < n_; ++k) b[i] -= at(k, i) * b[k];
      b[i] /= at(i, i);
    }
  }
  /// `A⁻¹·B·A⁻¹` for a symmetric B.
  [[nodiscard]] std::vector<double> sandwich(std::vector<double> b) const {
    for (int side = 0; side < 2; ++side) {
      for (std::size_t i = 0; i < n_; ++i) solve(b.data() + i * n_);
      for (std::size_t i = 0; i < n_; ++i)
        for (std::size_t j = 0; j < i; ++j) std::swap(b[i * n_ + j], b[j * n_ + i]);
    }
    return b;
  }

 private:
  double& at(std::size_t i, std::size_t j) { return l_[i * n_ + j]; }
  [[nodiscard]] double at(std::size_t i, std::size_t j) const { return l_[i * n_ + j]; }
  std::vector<double> l_;
  std::size_t n_;
  bool positive_ = true;
};

}  // namespace infalign::detail
