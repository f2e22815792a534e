// SPDX-License-Identifier: Apache-2.0
/// \file
/// Estimates of `Φ(C)`, one reward at a time, from how many references it beats: what `corrected_transform` (expected_transform.hpp) takes.
#pragma once

#include <cmath>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

/// What a reward's references say of it: it beats `wins` of `references`, and ties with `ties`.
struct reference_counts {
  index_t wins;
  index_t ties;
  index_t references;
  [[nodiscard]] INFALIGN_HD double quantile() const {
    return (static_cast<double>(wins) + 0.5 * static_cast<double>(ties)) / static_cast<double>(references);
  }
};

namespace detail {

/// Calls `use(j, E_j)` for j = 0 … degree, where `E_j` is the mean over all j-subsets of the references of the product of their
/// comparisons (1, ½ or 0): the unbiased estimate of `C^j`. With w wins, h ties and generating function `(1+x)^w (1+x/2)^h`, whose
/// differential equation gives a recursion of three terms. Its error is below 1e-13 of the largest `E_j`.
template <class Use>
INFALIGN_HD void unbiased_powers(const reference_counts& of, index_t degree, const Use& use) {
  const auto k = static_cast<double>(of.references), w = static_cast<double>(of.wins), h = static_cast<double>(of.ties);
  double before = 0, now = 1;
  for (index_t j = 0; j <= degree; ++j) {
    use(j, now);
    const auto x = static_cast<double>(j);
    const double next = j + 1 > of.wins + of.ties
                            ? 0
                            : ((w + 0.5 * h - 1.5 * x) * now + 0.5 * (w + h - x + 1) * (x / (k - x + 1)) * before) / (k - x);
    before = now;
    now = next;
  }
}

}  // namespace detail

/// The unbiased estimate of a polynomial `Φ(u) = Σ_j c_j·u^j` of degree up to 16, from at least as many references, ties included.
/// Source: powers as U-statistics, Hoeffding 1948; with ties: derived.
class unbiased_polynomial {
 public:
  static constexpr index_t most = 16;
  /// Coefficients from the constant up. Errors: `shape_error` for none or more than 17, `domain_error` for NaN or infinity.
  explicit unbiased_polynomial(span<const double> coefficients) : degree_(coefficients.size() - 1) {
    constexpr const char* function = "unbiased_polynomial";
    expects<shape_error>(degree_ >= 0 && degree_ <= most, function, "coefficients has ", coefficients.size(),
                         " values, must have 1 to ", most + 1);
    for (index_t j = 0; j <= degree_; ++j) {
      expects<domain_error>(coefficients[j] - coefficients[j] == 0, function, "coefficients[", j, "] is ", coefficients[j],
                            ", must be finite");
      coefficients_[j] = coefficients[j];
    }
  }
  [[nodiscard]] index_t references_needed() const { return degree_; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    double sum = 0;
    detail::unbiased_powers(of, degree_, [&](index_t j, double power) { sum += coefficients_[j] * power; });
    return sum;
  }

 private:
  index_t degree_;
  double coefficients_[most + 1] = {};
};

/// The estimate of `sign(t)·e^{tu}`, the transform `exponential(t)`, by its power series up to the number K of references: unbiased but
/// for what the series leaves out, less than `|t|^{K+1}·e^{|t|}/(K+1)!`: 1e-9 for t = 5 and K ≥ 29, t = 10 and K ≥ 48. For t < 0 it is
/// estimated from above, `e^t·e^{-t(1-u)}`, so that terms do not cancel. Source: derived.
class unbiased_exponential {
 public:
  /// Errors: `domain_error` for t = 0, NaN, or |t| > 100.
  explicit unbiased_exponential(double t) : t_(t) {
    expects<domain_error>(t != 0 && t >= -100 && t <= 100, "unbiased_exponential", "t is ", t,
                          ", must be in [-100, 100] and not 0");
  }
  [[nodiscard]] static index_t references_needed() { return 1; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    using std::exp;
    const bool rising = t_ > 0;
    const double t = rising ? t_ : -t_;
    const reference_counts from{rising ? of.wins : of.references - of.wins - of.ties, of.ties, of.references};
    double sum = 0, term = 1;
    const auto last = static_cast<index_t>(4 * t + 40);  // beyond, terms are below 1e-16 of the sum
    detail::unbiased_powers(from, last < of.references ? last : of.references, [&](index_t j, double power) {
      sum += term * power;
      term *= t / static_cast<double>(j + 1);
    });
    return rising ? sum : -exp(t_) * sum;
  }

 private:
  double t_;
};

/// The plug-in `Φ(Ĉ)` of any transform with the jackknife's correction, `K·Φ(Ĉ) - (K-1)·mean_k Φ(Ĉ without k)`: its bias is of order
/// 1/K² where Φ is smooth. Φ must be finite on all of [0, 1]: a reward that beats no reference needs Φ(0), and an estimate is infinite or
/// NaN where that is, as for `logarithm`. Source: Quenouille 1956.
template <class Transform>
struct jackknife_corrected {
  Transform transform;
  [[nodiscard]] static index_t references_needed() { return 2; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    const auto k = static_cast<double>(of.references);
    const auto at = [&](double wins) { return static_cast<double>(transform(wins / (k - 1))); };
    const auto w = static_cast<double>(of.wins), h = static_cast<double>(of.ties);
    double left_out = 0;
    if (of.wins > 0) left_out += w * at(w - 1 + 0.5 * h);
    if (of.ties > 0) left_out += h * at(w + 0.5 * (h - 1));
    if (w + h < k) left_out += (k - w - h) * at(w + 0.5 * h);
    return k * static_cast<double>(transform(of.quantile())) - (k - 1) * left_out / k;
  }
};
template <class T>
jackknife_corrected(T) -> jackknife_corrected<T>;

/// The plug-in less the second term of its series, `Φ(Ĉ) - ½Φ''(Ĉ)·s²/K`, s² being the variance of the comparisons with Bessel's
/// correction; Φ'' by a difference of `derivative` over about 1/K. Bias of order 1/K² where Φ is smooth. Φ and its derivative must be
/// finite on all of [0, 1]; where only Φ is, take the jackknife. Source: the delta method.
template <class Transform>
struct series_corrected {
  Transform transform;
  [[nodiscard]] static index_t references_needed() { return 2; }
  INFALIGN_HD double operator()(const reference_counts& of) const {
    const auto k = static_cast<double>(of.references), w = static_cast<double>(of.wins), h = static_cast<double>(of.ties);
    const double u = of.quantile(), variance = (w + 0.25 * h - k * u * u) / (k - 1);
    const double low = u > 0.5 / k ? u - 0.5 / k : 0, high = u < 1 - 0.5 / k ? u + 0.5 / k : 1;
    const double second =
        (static_cast<double>(transform.derivative(high)) - static_cast<double>(transform.derivative(low))) / (high - low);
    return static_cast<double>(transform(u)) - 0.5 * second * variance / k;
  }
};
template <class T>
series_corrected(T) -> series_corrected<T>;

}  // namespace infalign
