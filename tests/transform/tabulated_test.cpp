// SPDX-License-Identifier: Apache-2.0
#include "infalign/transform/tabulated.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/samples.hpp"
#include "transform/transform_checks.hpp"

using infalign::domain_error;
using infalign::shape_error;
using infalign::tabulated;
using infalign::test::check_transform;
using infalign::test::message_of;

TEST_CASE("tabulated passes through its points, increases, and knows its slope") {
  const std::vector<double> u{0, 0.1, 0.2, 0.5, 0.75, 1}, values{-3, -1, -1, 0, 4, 4.5};
  const tabulated transform(u, values);
  check_transform(transform, "tabulated:6", u);
  for (std::size_t i = 0; i < u.size(); ++i) CHECK(transform(u[i]) == values[i]);
  CHECK(transform(0.15) == -1);  // between equal values nothing overshoots
  CHECK(transform.derivative(0.15) == 0);
}

TEST_CASE("tabulated converges with the third power of the step, or the fourth where the slopes are given") {
  const auto error = [](int intervals, bool with_slopes) {
    std::vector<double> u, values, slopes;
    for (int i = 0; i <= intervals; ++i) {
      u.push_back(static_cast<double>(i) / intervals);
      values.push_back(std::exp(2 * u.back()));
      slopes.push_back(2 * values.back());
    }
    const tabulated transform = with_slopes ? tabulated(u, values, slopes) : tabulated(u, values);
    double largest = 0;
    for (int i = 0; i <= 1000; ++i)
      largest = infalign::test::larger(largest, std::abs(transform(i / 1000.0) - std::exp(i / 500.0)));
    return largest;
  };
  CHECK(error(40, false) < error(20, false) / 6);
  CHECK(error(40, true) < error(20, true) / 14);
  CHECK(error(40, true) < 1e-6);
}

TEST_CASE("slopes that would make tabulated turn back are cut") {
  const tabulated transform({0, 0.5, 1}, {0, 0.1, 0.2}, {50, 50, 50});
  infalign::test::check_slope(transform, {0.5});
}

TEST_CASE("outside [0,1] a table goes on as it ends") {
  const infalign::tabulated table({0, 0.5, 1}, {1, 2, 4});
  for (const double below : {-1e300, -1.0, -1e-300, 0.0}) CHECK(table(below) == 1);
  for (const double above : {1.0, 1.0000001, 2.0, 1e300}) CHECK(table(above) == 4);
  for (const double outside : {-1e300, -1e-300, 1.0000001, 2.0}) CHECK(table.derivative(outside) == 0);
  CHECK(table.derivative(1.0) > 0);
  CHECK(std::isnan(table(std::nan(""))));
  CHECK(std::isnan(table.derivative(std::nan(""))));
}

TEST_CASE("tabulated has the error that it states, against Hermite's basis in long double") {
  double worst = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto random = infalign::test::unit_values<double>(24, seed);
    std::vector<double> u{0}, values{random[0] - 0.5}, slopes;
    for (std::size_t i = 1; i < 8; ++i)
      u.push_back(u.back() + std::pow(random[i], 4) + 1e-9), values.push_back(values.back() + random[i + 8]);
    for (double& x : u) x /= u.back();
    u.back() = 1;
    for (std::size_t i = 0; i < 8; ++i) {
      double steepest = infalign::infinity<double>;
      if (i > 0) steepest = (values[i] - values[i - 1]) / (u[i] - u[i - 1]);
      if (i < 7) steepest = std::min(steepest, (values[i + 1] - values[i]) / (u[i + 1] - u[i]));
      slopes.push_back(2.9 * random[16 + i] * steepest);
    }
    const tabulated transform(u, values, slopes);
    for (std::size_t i = 0; i < 7; ++i)
      for (const double part : infalign::test::unit_values<double>(50, 1000 + seed)) {
        const double at = u[i] + part * (u[i + 1] - u[i]);
        const long double h = static_cast<long double>(u[i + 1]) - u[i], s = (static_cast<long double>(at) - u[i]) / h,
                          r = 1 - s;
        const long double exact = values[i] * (1 + 2 * s) * r * r + values[i + 1] * (1 + 2 * r) * s * s +
                                  h * s * r * (slopes[i] * r - slopes[i + 1] * s);
        const double size = std::max(std::abs(values[i]), std::abs(values[i + 1]));
        worst = infalign::test::larger(worst, static_cast<double>(std::abs(transform(at) - exact)) / (0x1p-53 * size));
      }
  }
  CHECK(worst <= 16);
}

TEST_CASE("bad points are named") {
  const auto shape = [](auto&&... points) { return message_of<shape_error>([&] { (void)tabulated(points...); }); };
  const auto domain = [](auto&&... points) { return message_of<domain_error>([&] { (void)tabulated(points...); }); };
  using list = std::vector<double>;
  CHECK(shape(list{0}, list{0}) == "tabulated: u has 1 points, needs at least 2");
  CHECK(shape(list{0, 1}, list{0, 1, 2}) == "tabulated: values has 3 values, but u has 2");
  CHECK(shape(list{0, 1}, list{0, 1}, list{0}) == "tabulated: slopes has 1 values, but u has 2");
  CHECK(domain(list{0.25, 1}, list{0, 1}) == "tabulated: u[0] is 0.25, must be 0");
  CHECK(domain(list{0, 0.75}, list{0, 1}) == "tabulated: u[1] is 0.75, must be 1");
  CHECK(domain(list{0, 0.5, 0.5, 1}, list{0, 1, 2, 3}) == "tabulated: u[2] is 0.5, must be above the one before it");
  CHECK(domain(list{0, 0.5, 1}, list{0, 1, 0.5}) == "tabulated: values[2] is 0.5, must not be below the one before it");
  CHECK(domain(list{0, 1}, list{0, INFINITY}) == "tabulated: values[1] is inf, must be finite");
  CHECK(domain(list{0, 1}, list{0, 1}, list{1, -1}) == "tabulated: slopes[1] is -1, must be finite and not negative");
}

TEST_CASE("tabulated::hermite is the cubic with the slopes given, falling or not") {
  // A cubic comes out exactly: u³ - u², which falls to 2/3 and rises again.
  const auto value = [](double u) { return u * u * (u - 1); };
  const auto slope = [](double u) { return u * (3 * u - 2); };
  const std::vector<double> u{0, 0.3, 0.8, 1};
  std::vector<double> values, slopes;
  for (const double x : u) values.push_back(value(x)), slopes.push_back(slope(x));
  const tabulated transform = tabulated::hermite(u, values, slopes);
  for (const double x : {0.0, 0.1, 0.5, 2.0 / 3, 0.9, 1.0}) {
    CHECK(std::abs(transform(x) - value(x)) <= 1e-15);
    CHECK(std::abs(transform.derivative(x) - slope(x)) <= 1e-14);
  }
  CHECK_THROWS_WITH_AS(tabulated::hermite({0, 1}, {1, 0}, {0}), "tabulated: slopes has 1 values, but u has 2", shape_error);
  CHECK_THROWS_WITH_AS(tabulated::hermite({0, 1}, {1, 0}, {0, NAN}), "tabulated: slopes[1] is nan, must be finite",
                       domain_error);
}
