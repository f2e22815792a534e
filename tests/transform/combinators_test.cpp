// SPDX-License-Identifier: Apache-2.0
#include "infalign/transform/combinators.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "infalign/transform/normal_quantile.hpp"
#include "infalign/transform/unit_range.hpp"
#include "support/samples.hpp"
#include "transform/transform_checks.hpp"

using infalign::clamped;
using infalign::composed;
using infalign::domain_error;
using infalign::exponential;
using infalign::identity;
using infalign::logarithm;
using infalign::power;
using infalign::scaled;
using infalign::shifted;
using infalign::tabulated;
using infalign::test::check_transform;
using infalign::test::message_of;

namespace {

/// A transform of a user: it falls.
struct mirrored {
  static constexpr const char* citation = "none: 1 - u";
  template <class V>
  V operator()(V u) const {
    return V(1) - u;
  }
  template <class V>
  V derivative(V) const {
    return V(-1);
  }
  [[nodiscard]] std::string name() const { return "mirrored"; }
};

/// A transform of a user that says nothing of its kinks: it stays at 0.25 from 0.25 to 0.5.
struct terrace {
  static constexpr const char* citation = "none: a straight line with a flat stretch";
  [[nodiscard]] double operator()(double u) const { return std::min(u, 0.25) + std::max(u - 0.5, 0.0); }
  [[nodiscard]] double derivative(double u) const { return u < 0.25 || u > 0.5 ? 1 : 0; }
  [[nodiscard]] std::string name() const { return "terrace"; }
};

/// Each point within two roundings of the one expected.
bool same_points(const std::vector<double>& found, const std::vector<double>& expected) {
  return std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                    [](double a, double b) { return std::abs(a - b) <= 4.5e-16 * b; });
}

}  // namespace

TEST_CASE("scaled and shifted") {
  check_transform(scaled(exponential(2), 0.5), "0.5*exponential:2");
  check_transform(shifted(power(2), -1), "power:2-1");
  check_transform(shifted(power(2), 0.25), "power:2+0.25");
  CHECK(scaled(identity(), 3)(0.5) == 1.5);
  CHECK(scaled(exponential(2), 3).derivative_near_one(0.25) == 3 * exponential(2).derivative(0.75));
  CHECK(shifted(identity(), 3)(0.5) == 3.5);
  CHECK(message_of<domain_error>([] { (void)scaled(identity(), -1); }) == "scaled: factor is -1, must be positive and finite");
  CHECK(message_of<domain_error>([] { (void)shifted(identity(), INFINITY); }) == "shifted: offset is inf, must be finite");
}

TEST_CASE("clamped keeps a logarithm finite and is flat outside its bounds") {
  const clamped transform(logarithm(), 0.125, 0.75);
  check_transform(transform, "clamped:0.125:0.75:logarithm", {0.125, 0.75});
  CHECK(transform(0.0) == std::log(0.125));
  CHECK(transform(1.0) == std::log(0.75));
  CHECK(transform.derivative(0.1) == 0);
  CHECK(transform.derivative(0.9) == 0);
  CHECK(message_of<domain_error>([] { (void)clamped(logarithm(), 0.5, 0.5); }) ==
        "clamped: bounds are [0.5, 0.5], must satisfy 0 <= lower < upper <= 1");
}

TEST_CASE("composed applies the inner one first, with the chain rule") {
  const composed transform(exponential(2), power(3));
  check_transform(transform, "exponential:2(power:3)");
  CHECK(transform(0.5) == doctest::Approx(std::exp(0.25)).epsilon(1e-15));
}

TEST_CASE("what owns a table enters a kernel as its view") {
  const shifted transform(scaled(tabulated({0, 0.5, 1}, {0, 1, 5}), 2), -1);
  const auto form = infalign::kernel_form(transform);
  static_assert(std::is_trivially_copyable_v<std::remove_const_t<decltype(form)>>);
  for (const double u : {0.0, 0.3, 0.5, 0.9, 1.0}) CHECK(form(u) == transform(u));
  CHECK(form(0.5) == 1);
}

TEST_CASE("kinks: the bounds of a clamp, the points of a table, and what is made of them") {
  using points = std::vector<double>;
  const tabulated table({0, 0.125, 0.5, 0.875, 1}, {0, 1, 2, 5, 6});
  CHECK(table.kinks() == points{0.125, 0.5, 0.875});
  CHECK(clamped(exponential(5), 0.25, 0.75).kinks() == points{0.25, 0.75});
  CHECK(clamped(exponential(5), 0.25, 1).kinks() == points{0.25});
  CHECK(clamped(exponential(5), 0, 0.75).kinks() == points{0.75});
  // A clamp is flat outside its bounds: what the table has there is gone.
  CHECK(clamped(table, 0.25, 0.875).kinks() == points{0.25, 0.5, 0.875});
  CHECK(shifted(scaled(table, 2), -1).kinks() == table.kinks());
  CHECK(scaled(identity(), 2).kinks().empty());
  CHECK(infalign::any_transform(table).kinks() == table.kinks());
  CHECK(infalign::parse_transform("clamped:0.25:0.75:logarithm").kinks() == points{0.25, 0.75});
  CHECK(infalign::parse_transform("logarithm").kinks().empty());
}

TEST_CASE("kinks of a composition: the inner ones, and the points that it maps to the outer ones") {
  const clamped bent(exponential(5), 0.25, 0.75);
  CHECK(same_points(composed(bent, power(2)).kinks(), {0.5, std::sqrt(0.75)}));
  CHECK(same_points(composed(bent, power(0.5)).kinks(), {0.0625, 0.5625}));
  CHECK(same_points(composed(bent, mirrored()).kinks(), {0.25, 0.75}));
  CHECK(same_points(composed(clamped(identity(), 0.125, 0.5), mirrored()).kinks(), {0.5, 0.875}));
  CHECK(same_points(composed(power(3), clamped(identity(), 0.2, 0.9)).kinks(), {0.2, 0.9}));
  CHECK(same_points(composed(tabulated({0, 0.5, 1}, {0, 1, 5}), clamped(identity(), 0.25, 0.75)).kinks(), {0.25, 0.5, 0.75}));
  // 0.75 is never reached.
  CHECK(same_points(composed(bent, scaled(identity(), 0.5)).kinks(), {0.5}));
  // A stretch on which the inner one stays at the kink has two ends.
  CHECK(same_points(composed(clamped(identity(), 0.25, 1), terrace()).kinks(), {0.25, 0.5}));
  // Close to an end, with the accuracy of u.
  CHECK(same_points(composed(clamped(identity(), 0x1p-20, 1), power(2)).kinks(), {0x1p-10}));
  CHECK(composed(exponential(1), power(2)).kinks().empty());
}

TEST_CASE("a range of 1, and the KL weight that goes with it") {
  check_transform(infalign::unit_range(exponential(2)), "0.15651764274966565*exponential:2");
  for (const double t : {-10.0, -1.0, 1e-3, 1.0, 10.0, 300.0}) {
    const auto unit = infalign::unit_range(exponential(t));
    CHECK(std::abs(infalign::value_range(unit) - 1) <= 1e-12);
    // The same policy: Φ/β is the same, but for a constant.
    const infalign::kl_weight beta(0.3 * infalign::value_range(exponential(t)));
    const double scaled_beta = infalign::scaled_beta(exponential(t), beta).value;
    CHECK(std::abs(scaled_beta - 0.3) <= 1e-12);
    for (const double u : {0.1, 0.5, 0.9}) {
      const double own = (exponential(t)(u) - exponential(t)(1.0)) / beta.value;
      CHECK(std::abs((unit(u) - unit(1.0)) / scaled_beta - own) <= 1e-12 * (1 + std::abs(own)));
    }
  }
  CHECK(infalign::value_range(logarithm()) == infalign::infinity<double>);
  CHECK(message_of<domain_error>([] { (void)infalign::unit_range(logarithm()); }) ==
        "unit_range: logarithm has a range of inf, must be positive and finite: clamp it");
  CHECK(message_of<domain_error>([] { (void)infalign::scaled_beta(infalign::normal_quantile(), infalign::kl_weight(1)); }) ==
        "scaled_beta: normal_quantile has a range of inf, must be positive and finite: clamp it");
  CHECK(message_of<domain_error>([] { (void)infalign::unit_range(mirrored()); }) ==
        "unit_range: mirrored has a range of -1, must be positive and finite: clamp it");
  CHECK(infalign::value_range(infalign::unit_range(clamped(logarithm(), 0.005, 1))) == doctest::Approx(1).epsilon(1e-15));
}
