// SPDX-License-Identifier: Apache-2.0
/// \file
/// A monotone transform given by its values on a grid.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// Non-owning form of `tabulated`, usable inside a kernel while the table lives, in memory `Space`.
template <class Space>
struct basic_tabulated_ref {
  using memory_space = Space;
  static constexpr const char* citation = "Fritsch and Carlson, SIAM Journal on Numerical Analysis 17 (1980)";
  const double* u;
  const double* value;
  const double* slope;
  index_t size;

  template <class V>
  INFALIGN_HD V operator()(V at) const {
    return lanewise(interpolant{*this}, at);
  }
  template <class V>
  INFALIGN_HD V derivative(V at) const {
    return lanewise(interpolant_slope{*this}, at);
  }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return "tabulated:" + std::to_string(size); }

 private:
  /// The interval that holds `x`, and `x` as a fraction of it.
  struct place {
    index_t interval;
    double width;
    double s;
  };
  INFALIGN_HD place locate(double x) const {
    x = x < 0 ? 0 : x > 1 ? 1 : x;  // NaN passes
    index_t low = 0;
    index_t high = size - 1;
    while (high - low > 1) {
      const index_t middle = low + (high - low) / 2;
      (u[middle] <= x ? low : high) = middle;
    }
    const double width = u[low + 1] - u[low];
    return {low, width, (x - u[low]) / width};
  }
  struct interpolant {
    const basic_tabulated_ref& table;
    INFALIGN_HD double operator()(double x) const {
      const auto [i, h, s] = table.locate(x);
      const double r = 1 - s;
      const double rise = table.value[i + 1] - table.value[i];
      // From the nearer point, so that points and flat stretches come out exactly.
      const double line =
          s < 0.5 ? table.value[i] + rise * s * s * (3 - 2 * s) : table.value[i + 1] - rise * r * r * (3 - 2 * r);
      return line + h * s * r * (table.slope[i] * r - table.slope[i + 1] * s);
    }
  };
  struct interpolant_slope {
    const basic_tabulated_ref& table;
    INFALIGN_HD double operator()(double x) const {
      if (x < 0 || x > 1) return 0;
      const auto [i, h, s] = table.locate(x);
      const double r = 1 - s;
      return 6 * s * r * (table.value[i + 1] - table.value[i]) / h + table.slope[i] * r * (1 - 3 * s) +
             table.slope[i + 1] * s * (3 * s - 2);
    }
  };
};

using tabulated_ref = basic_tabulated_ref<host_memory>;

/// `Φ` through the points `(u_i, Φ_i)`, by the monotone piecewise cubic of Fritsch and Carlson: it passes through every point,
/// is increasing where the points are, and has a continuous derivative, which `derivative` gives exactly.
///
/// `u` increases strictly from 0 to 1, `values` do not decrease, both finite, at least two points. `Φ(0)` and `Φ(1)` are the first
/// and the last value, and so are those of numbers outside [0,1]. Slopes may be given where they are known (each at least 0; what
/// is more than three times a neighbouring secant is cut to that, or the cubic would turn back); otherwise they are the weighted
/// harmonic means of the neighbouring secants. `derivative` is 0 outside [0,1]. Computed in double for every type: points and flat
/// stretches come out exactly, and elsewhere the error is at most `16·2⁻⁵³` of the larger of the two values around. Cost: O(log
/// points) an evaluation, one lane at a time. Errors: `shape_error`, `domain_error`.
class tabulated {
 public:
  static constexpr const char* citation = tabulated_ref::citation;

  INFALIGN_KEYED tabulated(std::vector<double> u, std::vector<double> values) : u_(std::move(u)), values_(std::move(values)) {
    check_points();
    slopes_ = monotone_slopes();
  }
  INFALIGN_KEYED tabulated(std::vector<double> u, std::vector<double> values, std::vector<double> slopes)
      : u_(std::move(u)), values_(std::move(values)), slopes_(std::move(slopes)) {
    check_points();
    check_slopes(0);
    for (std::size_t i = 0; i + 1 < u_.size(); ++i) {
      const double steepest = 3 * (values_[i + 1] - values_[i]) / (u_[i + 1] - u_[i]);
      slopes_[i] = std::min(slopes_[i], steepest);
      slopes_[i + 1] = std::min(slopes_[i + 1], steepest);
    }
  }

  /// The cubic with these slopes as they are, of either sign, through values that may fall too. Nothing keeps it from turning
  /// between the points. Errors: those of the others, but for values that fall and slopes below 0.
  static INFALIGN_KEYED tabulated hermite(std::vector<double> u, std::vector<double> values, std::vector<double> slopes) {
    tabulated made;
    made.u_ = std::move(u);
    made.values_ = std::move(values);
    made.slopes_ = std::move(slopes);
    made.check_points(false);
    made.check_slopes(-infinity<double>);
    return made;
  }

  // Declared for their linker names: compilers copy vectors by the instruction set.
  INFALIGN_KEYED tabulated(const tabulated&) = default;
  INFALIGN_KEYED tabulated(tabulated&&) noexcept = default;
  INFALIGN_KEYED tabulated& operator=(const tabulated&) = default;
  INFALIGN_KEYED tabulated& operator=(tabulated&&) noexcept = default;
  ~tabulated() = default;

  [[nodiscard]] tabulated_ref ref() const {
    return {u_.data(), values_.data(), slopes_.data(), static_cast<index_t>(u_.size())};
  }
  template <class V>
  INFALIGN_KEYED V operator()(V at) const {
    return ref()(at);
  }
  template <class V>
  INFALIGN_KEYED V derivative(V at) const {
    return ref().derivative(at);
  }
  /// The points inside: the curvature jumps there.
  [[nodiscard]] INFALIGN_KEYED std::vector<double> kinks() const { return {u_.begin() + 1, u_.end() - 1}; }
  [[nodiscard]] INFALIGN_KEYED std::string name() const { return ref().name(); }

 private:
  tabulated() = default;

  INFALIGN_KEYED void check_slopes(double least) const {
    expects<shape_error>(slopes_.size() == u_.size(), "tabulated", "slopes has ", slopes_.size(), " values, but u has ",
                         u_.size());
    for (std::size_t i = 0; i < slopes_.size(); ++i)
      expects<domain_error>(slopes_[i] >= least && std::isfinite(slopes_[i]), "tabulated", "slopes[", i, "] is ", slopes_[i],
                            ", must be finite", least == 0 ? " and not negative" : "");
  }
  INFALIGN_KEYED void check_points(bool rising = true) const {
    constexpr const char* function = "tabulated";
    expects<shape_error>(u_.size() >= 2, function, "u has ", u_.size(), " points, needs at least 2");
    expects<shape_error>(values_.size() == u_.size(), function, "values has ", values_.size(), " values, but u has ",
                         u_.size());
    expects<domain_error>(u_.front() == 0, function, "u[0] is ", u_.front(), ", must be 0");
    expects<domain_error>(u_.back() == 1, function, "u[", u_.size() - 1, "] is ", u_.back(), ", must be 1");
    for (std::size_t i = 0; i < u_.size(); ++i) {
      expects<domain_error>(std::isfinite(values_[i]), function, "values[", i, "] is ", values_[i], ", must be finite");
      expects<domain_error>(i == 0 || u_[i] > u_[i - 1], function, "u[", i, "] is ", u_[i],
                            ", must be above the one before it");
      expects<domain_error>(!rising || i == 0 || values_[i] >= values_[i - 1], function, "values[", i, "] is ", values_[i],
                            ", must not be below the one before it");
      if (i > 0)
        expects<domain_error>(std::isfinite(6 * (values_[i] - values_[i - 1]) / (u_[i] - u_[i - 1])), function, "values[", i,
                              "] is ", values_[i], ", so far from ", values_[i - 1], " before it that the slope overflows");
    }
  }

  /// Inside, the harmonic mean of the secants on both sides; at the ends, that of a parabola held monotone.
  [[nodiscard]] INFALIGN_KEYED std::vector<double> monotone_slopes() const {
    const std::size_t n = u_.size();
    std::vector<double> width(n - 1), secant(n - 1), slope(n);
    for (std::size_t i = 0; i + 1 < n; ++i) {
      width[i] = u_[i + 1] - u_[i];
      secant[i] = (values_[i + 1] - values_[i]) / width[i];
    }
    for (std::size_t i = 1; i + 1 < n; ++i) {
      const double a = 2 * width[i] + width[i - 1];
      const double b = width[i] + 2 * width[i - 1];
      slope[i] = secant[i - 1] > 0 && secant[i] > 0 ? (a + b) / (a / secant[i - 1] + b / secant[i]) : 0.0;
    }
    slope.front() = n == 2 ? secant[0] : end_slope(width[0], width[1], secant[0], secant[1]);
    slope.back() = n == 2 ? secant[0] : end_slope(width[n - 2], width[n - 3], secant[n - 2], secant[n - 3]);
    return slope;
  }
  INFALIGN_KEYED static double end_slope(double h0, double h1, double d0, double d1) {
    const double parabola = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
    return std::clamp(parabola, 0.0, 3 * d0);
  }

  std::vector<double> u_;
  std::vector<double> values_;
  std::vector<double> slopes_;
};

}  // namespace infalign
