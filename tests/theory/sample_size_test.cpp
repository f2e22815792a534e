// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/sample_size.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "infalign/core/student_t.hpp"
#include "infalign/statistics/summary.hpp"
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

TEST_CASE("prompts for an interval: the textbook's, and what Student's t adds") {
  // Proportions near one half, 95 %: ±5 % and ±3 % take 385 and 1068 in the normal approximation (Cochran, Sampling Techniques, 1977,
  // chapter 4, without his rounding of z to 2). Counted up one by one with scipy.stats.t.
  CHECK(prompts_for_half_width(0.05) == 387);
  CHECK(prompts_for_half_width(0.03) == 1070);
  CHECK(prompts_for_half_width(0.01, 0.99) == 16592);
  CHECK(prompts_for_half_width(0.01, 0.95, 0.1) == 387);
  CHECK(prompts_for_half_width(0.5) == 7);
  CHECK(prompts_for_half_width(0.4, 0.999) == 23);
  CHECK(prompts_for_half_width(1e-6) == doctest::Approx(std::pow(1.959963984540054 * 0.5e6, 2)).epsilon(1e-10));
}

TEST_CASE("power equals scipy's, with the far tail") {
  // scipy.stats.nct.sf(t, P-1, d) + cdf(-t, P-1, d)
  CHECK(power_of_prompts(100, 0.02, 0.1) == doctest::Approx(0.5082648066210378).epsilon(1e-12));
  CHECK(power_of_prompts(387, 0.005, 0.15, 0.99) == doctest::Approx(0.027868115845587536).epsilon(1e-12));
  CHECK(power_of_prompts(50, 0.001, 0.3, 0.9) == doctest::Approx(0.10009166902979513).epsilon(1e-12));
  CHECK(power_of_prompts(2, 0.3, 0.2) == doctest::Approx(0.13295212415702742).epsilon(1e-11));
  CHECK(power_of_prompts(5, 0.3, 0.2) == doctest::Approx(0.7107026739256758).epsilon(1e-11));
  CHECK(power_of_prompts(100'000, 0.001, 0.2) == doctest::Approx(0.3526024555001174).epsilon(1e-11));
  for (const index_t prompts : {2, 3, 10, 1000, 1'000'000'000})
    CHECK(power_of_prompts(prompts, 0, 1) == doctest::Approx(0.05).epsilon(1e-10));
  CHECK(power_of_prompts(1000, 0.1, 0.2) == doctest::Approx(1).epsilon(1e-12));
  CHECK(power_of_prompts(100, -0.02, 0.1) == power_of_prompts(100, 0.02, 0.1));
}

TEST_CASE("prompts for a difference: the smallest number with the power") {
  // Counted up one by one with scipy. 0.2, 0.5 and 0.8 are Cohen's small, medium and large effects; his tables have the same
  // (Statistical Power Analysis for the Behavioral Sciences, 1988).
  CHECK(prompts_for_difference(0.2, 1) == 199);
  CHECK(prompts_for_difference(0.5, 1) == 34);
  CHECK(prompts_for_difference(-0.8, 1) == 15);
  CHECK(prompts_for_difference(0.5, 1, {.power = 0.9}) == 44);
  CHECK(prompts_for_difference(0.3, 1, {.power = 0.95, .confidence = 0.99}) == 202);
  CHECK(prompts_for_difference(0.5, 1, {.power = 0.2, .confidence = 0.9}) == 4);  // here the far tail counts
  CHECK(prompts_for_difference(5, 1) == 3);
}

TEST_CASE("the detectable difference has the power, and no smaller one") {
  CHECK(detectable_difference(387, 0.1) == doctest::Approx(0.01427679461117971).epsilon(1e-11));
  for (const test_design design : {test_design{}, test_design{0.95, 0.99}, test_design{0.11, 0.9}, test_design{0.999999, 0.5}})
    for (const index_t prompts : {2, 40, 100'000}) {
      const double difference = detectable_difference(prompts, 0.2, design);
      CHECK(power_of_prompts(prompts, difference, 0.2, design.confidence) == doctest::Approx(design.power).epsilon(1e-12));
      CHECK(prompts_for_difference(difference * (1 + 1e-9), 0.2, design) <= prompts);
    }
}

TEST_CASE("tests find as often as promised, in simulation") {
  constexpr int repetitions = infalign::test::draws(40'000);
  constexpr double deviation = 0.2, difference = 0.05;
  const index_t prompts = prompts_for_difference(difference, deviation);
  const double t = student_t_quantile(0.975, static_cast<double>(prompts - 1));
  std::mt19937_64 generator(7);
  int found = 0;
  for (int r = 0; r < repetitions; ++r) {
    // Per-prompt differences with the wanted mean and deviation, and not normal: uniform.
    std::uniform_real_distribution<double> uniform(difference - std::sqrt(3.0) * deviation,
                                                   difference + std::sqrt(3.0) * deviation);
    summary values;
    for (index_t p = 0; p < prompts; ++p) values.add(uniform(generator));
    const estimate mean = estimate_of(values);
    found += std::abs(mean.value) > t * mean.standard_error;
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
  CHECK(message([] { return power_of_prompts(1, 1, 1); }) == "power_of_prompts: prompts is 1, must be at least 2");
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
