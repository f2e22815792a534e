// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/sample_size.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "support/samples.hpp"

using namespace infalign;
using infalign::test::message_of;

TEST_CASE("prompts for a standard error") {
  CHECK(prompts_for_standard_error(0.01) == 2500);        // (0.5/0.01)²
  CHECK(prompts_for_standard_error(0.004, 0.08) == 400);  // (0.08/0.004)² in binary fractions that are not exact
  CHECK(prompts_for_standard_error(0.3, 0.4) == 2);
  CHECK(prompts_for_standard_error(0.5) == 1);
  CHECK(prompts_for_standard_error(0.1, 0) == 1);
  for (const double error : {0.0007, 0.003, 0.02, 0.11}) {
    const index_t prompts = prompts_for_standard_error(error, 0.17);
    CHECK(0.17 / std::sqrt(static_cast<double>(prompts)) <= error);
    CHECK(0.17 / std::sqrt(static_cast<double>(prompts - 1)) > error);
  }
}

TEST_CASE("prompts for an interval: the textbook's 385 and 1068") {
  // Proportions near one half, 95 %: ±5 % and ±3 % (Cochran, Sampling Techniques, 1977, chapter 4, without his rounding of z to 2);
  // ±1 % at 99 %: (2.575829/0.02)² = 16587.3.
  CHECK(prompts_for_half_width(0.05) == 385);
  CHECK(prompts_for_half_width(0.03) == 1068);
  CHECK(prompts_for_half_width(0.01, 0.99) == 16588);
  CHECK(prompts_for_half_width(0.01, 0.95, 0.1) == 385);
}

TEST_CASE("power equals mpmath's, with the far tail") {
  // N(d - z) + N(-d - z) with 30 digits.
  CHECK(power_of_prompts(100, 0.02, 0.1) == doctest::Approx(0.516005273976174737).epsilon(1e-14));
  CHECK(power_of_prompts(387, 0.005, 0.15, 0.99) == doctest::Approx(0.0280391073774469357).epsilon(1e-13));
  CHECK(power_of_prompts(50, 0.001, 0.3, 0.9) == doctest::Approx(0.10009424484379718).epsilon(1e-14));
  CHECK(power_of_prompts(10, 0, 1) == doctest::Approx(0.05).epsilon(1e-14));
  CHECK(power_of_prompts(1000, 0.1, 0.2) == 1);
  CHECK(power_of_prompts(100, -0.02, 0.1) == power_of_prompts(100, 0.02, 0.1));
}

TEST_CASE("prompts for a difference: the smallest number with the power") {
  // Counted up one by one with mpmath. 0.2, 0.5 and 0.8 are Cohen's small, medium and large effects (Statistical Power Analysis for
  // the Behavioral Sciences, 1988); his tables, for Student's t, have two prompts more.
  CHECK(prompts_for_difference(0.2, 1) == 197);
  CHECK(prompts_for_difference(0.5, 1) == 32);
  CHECK(prompts_for_difference(-0.8, 1) == 13);
  CHECK(prompts_for_difference(0.5, 1, {.power = 0.9}) == 43);
  CHECK(prompts_for_difference(0.3, 1, {.power = 0.95, .confidence = 0.99}) == 198);
  CHECK(prompts_for_difference(0.5, 1, {.power = 0.2, .confidence = 0.9}) == 3);  // here the far tail counts
  CHECK(prompts_for_difference(5, 1) == 1);
}

TEST_CASE("the detectable difference has the power, and no smaller one") {
  CHECK(detectable_difference(387, 0.1) == doctest::Approx(0.0142412405729811509).epsilon(1e-12));
  for (const test_design design : {test_design{}, test_design{0.95, 0.99}, test_design{0.11, 0.9}, test_design{0.999999, 0.5}})
    for (const index_t prompts : {1, 40, 100'000}) {
      const double difference = detectable_difference(prompts, 0.2, design);
      CHECK(power_of_prompts(prompts, difference, 0.2, design.confidence) == doctest::Approx(design.power).epsilon(1e-12));
      CHECK(prompts_for_difference(difference, 0.2, design) <= prompts);
    }
}

TEST_CASE("intervals cover and tests find as often as promised, in simulation") {
  constexpr int repetitions = 40'000;
  constexpr double deviation = 0.2, difference = 0.05;
  const index_t prompts = prompts_for_difference(difference, deviation);
  const double half_width = 1.9599639845400542 * deviation / std::sqrt(static_cast<double>(prompts));
  std::mt19937_64 generator(7);
  int found = 0;
  for (int r = 0; r < repetitions; ++r) {
    // Per-prompt differences with the wanted mean and deviation, and not normal: uniform.
    std::uniform_real_distribution<double> uniform(difference - std::sqrt(3.0) * deviation,
                                                   difference + std::sqrt(3.0) * deviation);
    double sum = 0;
    for (index_t p = 0; p < prompts; ++p) sum += uniform(generator);
    found += std::abs(sum / static_cast<double>(prompts)) > half_width;
  }
  const double power = power_of_prompts(prompts, difference, deviation);
  CHECK(power >= 0.8);
  // Besides 4 standard errors: the next term of the central limit theorem (Edgeworth; no skewness, excess kurtosis -1.2) at the point
  // x = d - z, |κ/(24P)·(x³ - 3x)·φ(x)| < 0.4·1.2/(24P).
  const double edgeworth = 0.4 * 1.2 / (24 * static_cast<double>(prompts));
  CHECK(std::abs(static_cast<double>(found) / repetitions - power) <=
        4 * std::sqrt(power * (1 - power) / repetitions) + edgeworth);
}

TEST_CASE("a design that is none is an error") {
  const auto message = [](auto&& call) { return message_of<domain_error>([&] { (void)call(); }); };
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(message([] { return prompts_for_standard_error(0); }) ==
        "prompts_for_standard_error: error is 0, must be positive and finite");
  CHECK(message([] { return prompts_for_standard_error(0.1, -1); }) ==
        "prompts_for_standard_error: deviation is -1, must be finite and not negative");
  CHECK(message([] { return prompts_for_standard_error(1e-9); }) ==
        "prompts_for_standard_error: more than 2^53 prompts are needed");
  CHECK(message([] { return prompts_for_half_width(0.1, 1); }) == "prompts_for_half_width: confidence is 1, must be in (0, 1)");
  CHECK(message([=] { return prompts_for_half_width(inf); }) ==
        "prompts_for_half_width: half_width is inf, must be positive and finite");
  CHECK(message([] { return power_of_prompts(0, 1, 1); }) == "power_of_prompts: prompts is 0, must be at least 1");
  CHECK(message([] { return power_of_prompts(3, 1, 0); }) == "power_of_prompts: deviation is 0, must be positive and finite");
  CHECK(message([=] { return power_of_prompts(3, inf, 1); }) == "power_of_prompts: difference is inf, must be finite");
  CHECK(message([] { return prompts_for_difference(0, 1); }) ==
        "prompts_for_difference: difference is 0, must be finite and not 0");
  CHECK(message([] { return prompts_for_difference(1, 1, {.power = 1}); }) ==
        "prompts_for_difference: power is 1, must be in (0, 1)");
  CHECK(message([] { return prompts_for_difference(1, 1, {.power = 0.25, .confidence = 0.5}); }) ==
        "prompts_for_difference: power is 0.25, must be more than the significance, 0.5");
  CHECK(message([] { return detectable_difference(9, 1, {.power = 0.25, .confidence = 0.5}); }) ==
        "detectable_difference: power is 0.25, must be more than the significance, 0.5");
}
