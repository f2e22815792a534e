// SPDX-License-Identifier: Apache-2.0
/// \file
/// The errors that transforms state of themselves, against long double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "infalign/transform/apply.hpp"
#include "infalign/transform/transforms.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::exponential;
using infalign::power;
namespace test = infalign::test;

namespace {

/// The derivative of a transform, as a transform.
template <class Transform>
struct derivative_of {
  static constexpr const char* citation = Transform::citation;
  Transform transform;
  template <class V>
  INFALIGN_HD V operator()(V u) const {
    return transform.derivative(u);
  }
  template <class V>
  INFALIGN_HD V derivative(V u) const {
    return u;
  }
  [[nodiscard]] std::string name() const { return transform.name(); }
};

/// Calibrated rewards: uniform ones, and many next to 0 and to 1.
template <class T>
std::vector<T> trying_values() {
  std::mt19937_64 generator(3);
  std::uniform_real_distribution<double> uniform;
  const double lowest = -std::log(static_cast<double>(std::numeric_limits<T>::min())),
               nearest = 0.7 * std::numeric_limits<T>::digits;
  std::vector<T> u;
  for (int i = 0; i < 5000; ++i) {
    u.push_back(static_cast<T>(uniform(generator)));
    u.push_back(static_cast<T>(std::exp(-lowest * uniform(generator))));
    u.push_back(static_cast<T>(1 - std::exp(-nearest * uniform(generator))));
  }
  std::erase_if(u, [](T x) { return x <= 0 || x >= 1; });
  return u;
}

using exact_function = std::function<long double(long double)>;

/// The largest relative error of a normal result, in units of `ε·unit(u)`.
template <class C, class Transform>
double worst_error(const Transform& transform, const exact_function& exact, const exact_function& unit) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const std::vector<T> u = trying_values<T>();
  typename C::template array<T> in(u), out(static_cast<infalign::index_t>(u.size()));
  infalign::apply(on, transform, in.span(), out.span());
  const std::vector<T> found = out.host();
  const long double epsilon = std::numeric_limits<T>::epsilon() / 2, top = std::numeric_limits<T>::max();
  const long double least = 1024 * static_cast<long double>(std::numeric_limits<T>::min());
  double worst = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    const long double expected = exact(static_cast<long double>(u[i]));
    if (std::abs(expected) > top || std::abs(expected) < least) continue;
    const long double error = std::abs(static_cast<long double>(found[i]) - expected) / std::abs(expected);
    worst = test::larger(worst, static_cast<double>(error / (epsilon * unit(static_cast<long double>(u[i])))));
  }
  return worst;
}

long double one(long double) {
  return 1;
}

/// By Newton's method on the tail, from the quantile in double.
long double normal_quantile_of(long double u) {
  auto x = static_cast<long double>(infalign::standard_normal_quantile(static_cast<double>(u)));
  for (int step = 0; step < 2; ++step) {
    const long double density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0L));
    const long double below = u < 0.5L ? std::erfc(-x / std::sqrt(2.0L)) / 2 - u : 1 - u - std::erfc(x / std::sqrt(2.0L)) / 2;
    x -= below / density;
  }
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("transforms have the errors that they state", C, INFALIGN_CONFIGURATIONS) {
  CHECK(worst_error<C>(
            infalign::identity(), [](long double u) { return u; }, one) == 0);
  for (const double t : {10.0, -5.0, 80.0, -300.0}) {
    const auto exact = [t](long double u) { return (t > 0 ? 1 : -1) * std::exp(t * u); };
    const auto unit = [t](long double u) { return 1 + std::abs(t) * u; };
    CHECK(worst_error<C>(exponential(t), exact, unit) <= 3);
    CHECK(worst_error<C>(
              derivative_of<exponential>{exponential(t)}, [&](long double u) { return t * exact(u); }, unit) <= 3);
  }
  CHECK(worst_error<C>(
            infalign::logarithm(), [](long double u) { return std::log(u); }, one) <= 2);
  CHECK(worst_error<C>(
            derivative_of<infalign::logarithm>{}, [](long double u) { return 1 / u; }, one) <= 1);
  for (const double p : {0.5, 2.5, 20.0}) {
    const auto unit = [](double exponent) {
      return [exponent](long double u) { return 1 + std::abs(exponent * std::log(u)); };
    };
    CHECK(worst_error<C>(
              power(p), [p](long double u) { return std::pow(u, static_cast<long double>(p)); }, unit(p)) <= 3);
    CHECK(worst_error<C>(
              derivative_of<power>{power(p)}, [p](long double u) { return p * std::pow(u, static_cast<long double>(p) - 1); },
              unit(p - 1)) <= 3);
  }
  CHECK(worst_error<C>(infalign::normal_quantile(), normal_quantile_of, one) <= 10);
  CHECK(worst_error<C>(
            derivative_of<infalign::normal_quantile>{},
            [](long double u) {
              const long double x = normal_quantile_of(u);
              return std::sqrt(2 * std::acos(-1.0L)) * std::exp(x * x / 2);
            },
            [](long double u) { return 1 + std::pow(normal_quantile_of(u), 2.0L); }) <= 10);
}
