// SPDX-License-Identifier: Apache-2.0
/// \file
/// Means of several values a prompt with their covariances, as a state that merges; and functions of such means by the delta method
/// and by the jackknife.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/statistics/detail/left_out.hpp"
#include "infalign/statistics/estimate.hpp"

namespace infalign {

/// `n`, the means of K values and the sums of products of their deviations. For what is a function of several means: a ratio of two
/// policies' rewards, a difference that is paired by prompt, the points of a curve.
///
/// - Memory: K(K + 3)/2 numbers; a byte form (`to_bytes`). Cost: as many operations a unit, likewise a merge.
/// - Rounding and NaN: those of `summary`.
/// - Source: as `summary`; for products Pébay, Sandia report SAND2008-6212.
class mean_covariance {
 public:
  mean_covariance() = default;
  /// Of `values` values a unit, and no unit yet. Errors: `shape_error` for fewer than one.
  INFALIGN_KEYED explicit mean_covariance(index_t values) {
    expects<shape_error>(values >= 1, "mean_covariance", "values is ", values, ", must be at least 1");
    means_.assign(static_cast<std::size_t>(values), 0.0);
    products_.assign(means_.size() * (means_.size() + 1) / 2, 0.0);
  }

  [[nodiscard]] index_t count() const { return count_; }
  [[nodiscard]] index_t values() const { return static_cast<index_t>(means_.size()); }
  [[nodiscard]] double mean(index_t i) const { return means_[static_cast<std::size_t>(i)]; }
  /// Of the values i and j of a unit, with Bessel's correction.
  [[nodiscard]] INFALIGN_KEYED double covariance(index_t i, index_t j) const {
    return products_[place(std::max(i, j), std::min(i, j))] / static_cast<double>(count_ - 1);
  }

  /// One more unit. Errors: `shape_error` for another number of values.
  INFALIGN_KEYED void add(span<const double> unit) {
    expects<shape_error>(unit.size() == values(), "mean_covariance::add", "unit has ", unit.size(), " values, must have ",
                         values());
    ++count_;
    const auto n = static_cast<double>(count_);
    for (index_t i = 0; i < values(); ++i)
      for (index_t j = 0; j <= i; ++j) products_[place(i, j)] += (unit[i] - mean(i)) * (unit[j] - mean(j)) * ((n - 1) / n);
    for (index_t i = 0; i < values(); ++i) means_[static_cast<std::size_t>(i)] += (unit[i] - mean(i)) / n;
  }
  /// Errors: `shape_error` for another number of values, unless either has no units.
  INFALIGN_KEYED void merge(const mean_covariance& other) {
    if (other.count_ == 0) return;
    if (count_ == 0) {
      *this = other;
      return;
    }
    expects<shape_error>(other.values() == values(), "mean_covariance::merge", "other has ", other.values(),
                         " values, must have ", values());
    const auto before = static_cast<double>(count_);
    count_ += other.count_;
    const double share = static_cast<double>(other.count_) / static_cast<double>(count_);
    for (index_t i = 0; i < values(); ++i)
      for (index_t j = 0; j <= i; ++j)
        products_[place(i, j)] +=
            other.products_[place(i, j)] + (other.mean(i) - mean(i)) * (other.mean(j) - mean(j)) * (before * share);
    for (index_t i = 0; i < values(); ++i) means_[static_cast<std::size_t>(i)] += (other.mean(i) - mean(i)) * share;
  }
  /// The mean of `Σ_i weights[i]·x_i`: of value i for a unit vector, of a paired difference for 1 and -1. What has weight 0 does not
  /// count, whatever it is: a value that is infinite or NaN, for example.
  [[nodiscard]] INFALIGN_KEYED estimate combined(span<const double> weights, quantity_range range = {}) const {
    expects<shape_error>(weights.size() == values(), "mean_covariance::combined", "weights has ", weights.size(),
                         " values, must have ", values());
    double value = 0, variance = 0;
    for (index_t i = 0; i < values(); ++i) {
      if (weights[i] == 0) continue;
      value += weights[i] * mean(i);
      for (index_t j = 0; j < values() && count_ > 1; ++j)
        if (weights[j] != 0) variance += weights[i] * weights[j] * covariance(i, j);
    }
    const double error = count_ > 1 ? std::sqrt(std::max(variance, 0.0) / static_cast<double>(count_)) : infinity<double>;
    return {count_ > 0 ? value : std::nan(""), error, count_, range.lowest, range.highest};
  }

 private:
  friend struct mean_covariance_fields;
  [[nodiscard]] static std::size_t place(index_t i, index_t j) { return static_cast<std::size_t>(i * (i + 1) / 2 + j); }

  index_t count_ = 0;
  std::vector<double> means_;
  std::vector<double> products_;  ///< the lower triangle, row by row
};

/// A smooth function of means with the standard error of the delta method: `√(g'Σg/n)`, g being the gradient by central differences
/// over a thousandth of a standard error, Σ the covariances. `statistic(means)` maps K means to a number. With a range its 95 % interval
/// holds for any number of units; without, from some hundred on: `bootstrap` has the table.
/// Errors: `shape_error` for no units. One unit has standard error +inf.
template <class Statistic>
[[nodiscard]] INFALIGN_KEYED estimate delta_method(const mean_covariance& seen, const Statistic& statistic,
                                                   quantity_range range = {}) {
  expects<shape_error>(seen.count() >= 1, "delta_method", "seen has no units");
  std::vector<double> means, gradient;
  for (index_t i = 0; i < seen.values(); ++i) means.push_back(seen.mean(i));
  const double value = statistic(static_cast<const double*>(means.data()));
  if (seen.count() == 1) return {value, infinity<double>, 1, range.lowest, range.highest};
  for (std::size_t i = 0; i < means.size(); ++i) {
    const double mean = means[i], error = std::sqrt(seen.covariance(static_cast<index_t>(i), static_cast<index_t>(i)) /
                                                    static_cast<double>(seen.count()));
    const double step = std::max(1e-3 * error, 1e-7 * std::abs(mean));
    means[i] = mean + step;
    const double above = statistic(static_cast<const double*>(means.data()));
    means[i] = mean - step;
    const double below = statistic(static_cast<const double*>(means.data()));
    means[i] = mean;
    gradient.push_back(error > 0 ? (above - below) / (2 * step) : 0);
  }
  const estimate linear = seen.combined(gradient);
  return {value, linear.standard_error, seen.count(), range.lowest, range.highest};
}

/// A smooth function of means by the jackknife over units: `value` has the bias of order 1/U taken out,
/// `U·θ - (U - 1)·mean_i θ_{-i}`, and the standard error is `√((U - 1)/U·Σ(θ_{-i} - mean)²)`. It is the plug-in and `summarize`'s error
/// for a mean. Coverage: as `delta_method`.
///
/// - Shapes: `columns` K rows of U ≥ 1 units in host memory. Cost: U calls of `statistic`. One unit has standard error +inf.
/// - Errors: `shape_error`, `domain_error` for NaN or infinity, or where the statistic is not finite with a unit left out.
/// - Source: Quenouille, Biometrika 43 (1956); Tukey, Annals of Mathematical Statistics 29 (1958).
template <class Statistic>
[[nodiscard]] INFALIGN_KEYED estimate jackknife(rows<const double> columns, const Statistic& statistic,
                                                quantity_range range = {}) {
  detail::check_columns("jackknife", columns);
  const std::vector<double> means = detail::column_means(columns);
  const double value = statistic(means.data());
  const index_t units = columns.columns();
  if (units == 1) return {value, infinity<double>, 1, range.lowest, range.highest};
  const std::vector<double> left_out = detail::left_out_values(columns, means, statistic);
  const auto n = static_cast<double>(units);
  double mean = 0, squares = 0;
  for (std::size_t i = 0; i < left_out.size(); ++i) {
    expects<domain_error>(std::isfinite(left_out[i]), "jackknife", "statistic is ", left_out[i], " without unit ", i,
                          ", must be finite");
    mean += (left_out[i] - value) / n;
  }
  for (const double x : left_out) squares += (x - value - mean) * (x - value - mean);
  return {value - (n - 1) * mean, std::sqrt((n - 1) / n * squares), units, range.lowest, range.highest};
}

}  // namespace infalign
