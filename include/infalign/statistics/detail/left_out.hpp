// SPDX-License-Identifier: Apache-2.0
/// \file
/// A function of means with each unit left out in turn.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"

namespace infalign::detail {

INFALIGN_KEYED inline void check_columns(std::string_view function, rows<const double> columns) {
  expects<shape_error>(columns.size() >= 1 && columns.columns() >= 1, function, "columns has ", columns.size(), " rows of ",
                       columns.columns(), " values, at least one of either is needed");
  for (index_t k = 0; k < columns.size(); ++k)
    for (index_t i = 0; i < columns.columns(); ++i)
      expects<domain_error>(std::isfinite(columns[k][i]), function, "columns[", k, "][", i, "] is ", columns[k][i],
                            ", must be finite");
}

INFALIGN_KEYED inline std::vector<double> column_means(rows<const double> columns) {
  std::vector<double> means;
  for (index_t k = 0; k < columns.size(); ++k) {
    double sum = 0;
    for (const double x : columns[k]) sum += x;
    means.push_back(sum / static_cast<double>(columns.columns()));
  }
  return means;
}

/// `statistic` with each unit left out in turn.
template <class Statistic>
INFALIGN_KEYED std::vector<double> left_out_values(rows<const double> columns, const std::vector<double>& means,
                                                   const Statistic& statistic) {
  const index_t units = columns.columns();
  const auto n = static_cast<double>(units);
  std::vector<double> without(means.size()), values(static_cast<std::size_t>(units));
  for (index_t i = 0; i < units; ++i) {
    for (index_t k = 0; k < columns.size(); ++k) {
      const double mean = means[static_cast<std::size_t>(k)];
      without[static_cast<std::size_t>(k)] = mean + (mean - columns[k][i]) / (n - 1);
    }
    values[static_cast<std::size_t>(i)] = statistic(static_cast<const double*>(without.data()));
  }
  return values;
}

}  // namespace infalign::detail
