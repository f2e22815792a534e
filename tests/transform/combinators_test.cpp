// SPDX-License-Identifier: Apache-2.0
#include "infalign/transform/combinators.hpp"

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

TEST_CASE("scaled and shifted") {
  check_transform(scaled(exponential(2), 0.5), "0.5*exponential:2");
  check_transform(shifted(power(2), -1), "power:2-1");
  check_transform(shifted(power(2), 0.25), "power:2+0.25");
  CHECK(scaled(identity(), 3)(0.5) == 1.5);
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
