// SPDX-License-Identifier: Apache-2.0
#include "support/samples.hpp"
#include "transform/transform_checks.hpp"

using infalign::domain_error;
using infalign::exponential;
using infalign::identity;
using infalign::infinity;
using infalign::logarithm;
using infalign::normal_quantile;
using infalign::power;
using infalign::test::check_transform;
using infalign::test::message_of;

TEST_CASE("identity") {
  check_transform(identity(), "identity");
  CHECK(identity()(0.3) == 0.3);
}

TEST_CASE("logarithm") {
  check_transform(logarithm(), "logarithm");
  CHECK(logarithm()(0.0) == -infinity<double>);
  CHECK(logarithm()(1.0) == 0);
  CHECK(logarithm()(0.5) == doctest::Approx(-0.6931471805599453).epsilon(1e-15));
  CHECK(logarithm().derivative(0.0) == infinity<double>);
}

TEST_CASE("power") {
  check_transform(power(2.5), "power:2.5");
  check_transform(power(0.5), "power:0.5");
  CHECK(power(3)(0.5) == doctest::Approx(0.125).epsilon(1e-15));
  for (const double p : {0.5, 1.0, 3.0}) {
    CHECK(power(p)(0.0) == 0);
    CHECK(power(p)(1.0) == 1);
  }
  CHECK(power(0.5).derivative(0.0) == infinity<double>);
  CHECK(power(1).derivative(0.0) == 1);
  CHECK(power(3).derivative(0.0) == 0);
  CHECK(message_of<domain_error>([] { (void)power(0); }) == "power: exponent is 0, must be positive and finite");
  CHECK(message_of<domain_error>([] { (void)power(infinity<double>); }) ==
        "power: exponent is inf, must be positive and finite");
}

TEST_CASE("exponential") {
  check_transform(exponential(3), "exponential:3");
  check_transform(exponential(-5), "exponential:-5");
  CHECK(exponential(10)(0.0) == 1);
  CHECK(exponential(10)(1.0) == doctest::Approx(std::exp(10.0)).epsilon(1e-15));
  CHECK(exponential(-10)(0.0) == -1);
  CHECK(exponential(-10)(1.0) == doctest::Approx(-std::exp(-10.0)).epsilon(1e-15));
  CHECK(message_of<domain_error>([] { (void)exponential(0); }) == "exponential: t is 0, must be in [-700, 700] and not 0");
  CHECK(message_of<domain_error>([] { (void)exponential(709); }) == "exponential: t is 709, must be in [-700, 700] and not 0");
  CHECK(message_of<domain_error>([] { (void)exponential(-701); }).starts_with("exponential: t is -701"));
  CHECK(exponential(700).derivative(1.0) < infalign::infinity<double>);
  CHECK(message_of<domain_error>([] { (void)exponential(NAN); }).starts_with("exponential: t is"));
}

TEST_CASE("normal_quantile") {
  check_transform(normal_quantile(), "normal_quantile");
  CHECK(normal_quantile()(0.0) == -infinity<double>);
  CHECK(normal_quantile()(1.0) == infinity<double>);
  CHECK(normal_quantile().derivative(0.0) == infinity<double>);
  // From a 40-digit evaluation of the inverse error function.
  const double expected[][2] = {{1e-300, -37.0470962993611992}, {1e-20, -9.26234008979840758},
                                {1e-6, -4.75342430882289896},   {0.01, -2.32634787404084109},
                                {0.075, -1.43953147093845593},  {0.1, -1.28155156554460044},
                                {0.3, -0.524400512708040816},   {0.5, 0},
                                {0.7, 0.524400512708040656},    {0.925, 1.43953147093845623},
                                {0.99, 2.32634787404084077},    {0.999999, 4.75342430881708777}};
  for (const auto& pair : expected) CHECK(normal_quantile()(pair[0]) == doctest::Approx(pair[1]).epsilon(3e-15));
}
