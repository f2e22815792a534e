// SPDX-License-Identifier: Apache-2.0
/// \file
/// What users of other software reported as wrong in functions of SIMD registers: the right value is asked of this library.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "infalign/transform/apply.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/normal_quantile.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
namespace test = infalign::test;

namespace {

/// (i + ½)/n, in an order in which neighbours lie far apart.
template <class T>
std::vector<T> scattered(index_t n) {
  std::vector<T> u;
  for (index_t i = 0; i < n; ++i)
    u.push_back(static_cast<T>((static_cast<double>(i * 7919 % n) + 0.5) / static_cast<double>(n)));
  return u;
}

/// The largest relative error of `transform` on the backend of `C`, in units of rounding.
template <class C, class Transform, class Truth>
double worst_error(const Transform& transform, const std::vector<typename C::value>& u, const Truth& truth) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> in(u), out(static_cast<index_t>(u.size()), T(-9));
  infalign::apply(on, transform, in.span(), out.span());
  const auto values = out.host();
  double worst = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    const long double expected = truth(static_cast<long double>(u[i]));
    const long double error = std::abs(static_cast<long double>(values[i]) - expected) / std::abs(expected);
    worst = test::larger(worst, static_cast<double>(error) / static_cast<double>(std::numeric_limits<T>::epsilon()));
  }
  return worst;
}

/// The normal quantile below ½ by Newton's method on the distribution function, from -√(-2·log(2u)), which lies below it.
long double quantile_below_half(long double u) {
  long double x = -std::sqrt(-2 * std::log(2 * u));
  for (int i = 0; i < 100; ++i) {
    const long double density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0L));
    const long double step = (std::erfc(-x / std::sqrt(2.0L)) / 2 - u) / density;
    x -= step;
    if (std::abs(step) <= 1e-17L * std::abs(x)) break;
  }
  return x;
}

}  // namespace

// xtensor-stack/xsimd 936: erfc was less exact where the lanes of a register lie on both sides of the border of two formulas.
TEST_CASE_TEMPLATE("registers whose lanes take different formulas are as exact as others", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto u = scattered<T>(20'000);
  // Two polynomials of degree 7 whose terms have one sign, their quotient, a logarithm and a root: some 20 roundings.
  CHECK(worst_error<C>(infalign::normal_quantile(), u,
                       [](long double p) { return p < 0.5L ? quantile_below_half(p) : -quantile_below_half(1 - p); }) <= 16);
  // The argument t·u is rounded to half a unit, of which the exponential makes t·u/2.
  for (const double t : {10.0, 80.0, -10.0})
    CHECK(worst_error<C>(infalign::exponential(t), u, [t](long double p) {
            return (t > 0 ? 1 : -1) * std::exp(static_cast<long double>(t) * p);
          }) <= std::abs(t) / 2 + 4);
}
