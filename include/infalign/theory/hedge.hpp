// SPDX-License-Identifier: Apache-2.0
/// \file
/// Over-optimisation in the quantile picture: what a procedure that selects by a proxy is worth, if the expected true reward is a known
/// function `g(u)` of the proxy's quantile u; and the N or μ at which it is worth most. From samples: `evaluation/hedge.hpp`.
///
/// \code
/// const auto g = [](double u) { return std::pow(u, 12) * (1 - u) * 33.97; };  // better up to u = 12/13, then worse
/// const infalign::hedged best = infalign::hedge_best_of(g);                    // best.parameter = 12.49, best.kl = 1.61
/// \endcode
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/theory/detail/chebyshev.hpp"

namespace infalign {

/// A procedure's parameter, what is served there, and the KL of what is served to the base policy.
struct hedged {
  double parameter = 0;
  double value = 0;
  double kl = 0;
};

namespace detail {

/// `∫₀¹ f` by polynomials of degree 16 on pieces that halve toward both ends, 44 octaves of them.
template <class F>
double unit_integral(const F& f) {
  const chebyshev& points = chebyshev::points();
  constexpr int octaves = 44, parts = 2;
  const auto piece = [&](double low, double high) {
    chebyshev::values values;
    const double half = 0.5 * (high - low);
    for (std::size_t i = 0; i < chebyshev::size; ++i) values[i] = f(low + half * (1 + points.node[i]));
    return half * points.integrate(values);
  };
  double sum = 0, high = 0.5;
  for (int k = 0; k < octaves; ++k, high /= 2) {
    const double low = k + 1 == octaves ? 0 : high / 2;
    for (int i = 0; i < parts; ++i) {
      const double a = low + (high - low) * i / parts, b = low + (high - low) * (i + 1) / parts;
      sum += piece(a, b) + piece(1 - b, 1 - a);
    }
  }
  return sum;
}

/// `q^n` for any real n ≥ 1.
struct power_distortion {
  double n;
  [[nodiscard]] double density(double q) const { return n * std::pow(q, n - 1); }
};

/// The largest value over `low … high`: on a grid of ratios first, then by golden section around the best.
template <class Value>
double best_parameter(double low, double high, const Value& value) {
  constexpr int grid = 48;
  constexpr double golden = 0.61803398874989484820;
  const double ratio = std::pow(high / low, 1.0 / grid);
  const auto at = [&](int i) { return i == grid ? high : low * std::pow(ratio, i); };
  int best = 0;
  double most = value(low);
  for (int i = 1; i <= grid; ++i)
    if (const double v = value(at(i)); v > most) most = v, best = i;
  double a = std::log(at(std::max(best - 1, 0))), b = std::log(at(std::min(best + 1, grid)));
  double x = b - golden * (b - a), y = a + golden * (b - a), at_x = value(std::exp(x)), at_y = value(std::exp(y));
  while (b - a > 1e-8) {
    if (at_x >= at_y) {
      b = y, y = x, at_y = at_x;
      at_x = value(std::exp(x = b - golden * (b - a)));
    } else {
      a = x, x = y, at_x = at_y;
      at_y = value(std::exp(y = a + golden * (b - a)));
    }
  }
  const double found = std::exp(0.5 * (a + b));
  return value(found) >= most ? found : at(best);
}

inline void expects_search(std::string_view function, double most, double least) {
  expects<domain_error>(most > least && most <= 1e9, function, "most is ", most, ", must be more than ", least,
                        " and at most 1e9");
}

}  // namespace detail

/// What a procedure serves on average: `∫ g(u)·G'(u) du`, g being the expected true reward at the quantile u of the proxy under the
/// base policy. To about 1e-12 of the largest `|g|` where g is smooth, for up to 1e9 samples. The procedure needs a `density`.
template <class TrueReward, class Procedure>
[[nodiscard]] double served_value(const TrueReward& g, const Procedure& procedure) {
  return detail::unit_integral([&](double u) { return g(u) * procedure.density(u); });
}

/// `KL` of what a procedure serves to the policy it is run on, where rewards have no ties: `∫ G'·log G'`. For best-of-N it is
/// `log N - (N - 1)/N`.
template <class Procedure>
[[nodiscard]] double procedure_kl(const Procedure& procedure) {
  return detail::unit_integral([&](double u) {
    const double f = procedure.density(u);
    return f > 0 ? f * std::log(f) : 0.0;
  });
}

/// The n ≥ 1 at which best-of-n by proxy is worth most, `∫ g(u)·n·u^{n-1} du`, n being any real number up to `most`; its value; and its
/// KL `log n - (n - 1)/n`. What can be run is one of the two whole numbers beside it, if g has one maximum: compare
/// `served_value(g, best_of(n))`. At the ends of the range the end is returned. Errors: `domain_error` unless 1 < most ≤ 1e9.
/// Source: HedgeTune, Khalaf et al., arXiv 2506.19248; found here by search, n to about 1e-7 relative.
template <class TrueReward>
[[nodiscard]] hedged hedge_best_of(const TrueReward& g, double most = 1e4) {
  detail::expects_search("hedge_best_of", most, 1);
  const auto value = [&](double n) { return served_value(g, detail::power_distortion{n}); };
  const double n = detail::best_parameter(1, most, value);
  return {n, value(n), std::log(n) - (n - 1) / n};
}

/// The mean μ ≤ `most` at which best-of-Poisson by proxy, the best of 1 + Poisson(μ) samples, is worth most; its value; and its KL.
/// Errors: `domain_error` unless 0 < most ≤ 1e9. Source: as above.
template <class TrueReward>
[[nodiscard]] hedged hedge_best_of_poisson(const TrueReward& g, double most = 1e4) {
  detail::expects_search("hedge_best_of_poisson", most, 0);
  const auto value = [&](double mean) { return served_value(g, best_of_poisson(mean)); };
  double mean = detail::best_parameter(std::min(1e-3, 0.5 * most), most, value);
  if (value(0) >= value(mean)) mean = 0;
  return {mean, value(mean), procedure_kl(best_of_poisson(mean))};
}

}  // namespace infalign
