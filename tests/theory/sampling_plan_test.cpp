// SPDX-License-Identifier: Apache-2.0
#include "infalign/theory/sampling_plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/statistics/summarize.hpp"
#include "support/samples.hpp"

using namespace infalign;
namespace test = infalign::test;
using infalign::test::message_of;

namespace {

/// Best-of-2 win rates of prompts whose policies differ: rewards N(shift, 1) with shift ~ N(0.5, 0.5²), base N(0, 1).
class experiment {
 public:
  experiment(index_t prompts, index_t samples, std::uint64_t seed) : prompts_(prompts), samples_(samples) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal;
    for (index_t p = 0; p < prompts; ++p) {
      const double shift = 0.5 + 0.5 * normal(generator);
      for (index_t i = 0; i < samples; ++i) {
        policy_.push_back(shift + normal(generator));
        base_.push_back(normal(generator));
      }
    }
  }
  /// From samples `first … first + n` of every prompt.
  [[nodiscard]] std::vector<double> win_rates(index_t first, index_t n) const {
    std::vector<double> out(static_cast<std::size_t>(prompts_));
    simd on;
    const rows<const double> y(policy_.data() + first, prompts_, n, samples_), z(base_.data() + first, prompts_, n, samples_);
    procedure_win_rate(on, y, z, best_of(2), out);
    return out;
  }

 private:
  index_t prompts_, samples_;
  std::vector<double> policy_, base_;
};

double variance(const std::vector<double>& values) {
  const estimate e = summarize(simd(), values);
  return e.standard_error * e.standard_error * static_cast<double>(e.count);
}

}  // namespace

TEST_CASE("components of two estimates a prompt, by hand") {
  // Means 2 and 3, products of deviations -1·-2 + 0·0 + 1·2 over 2; squared differences 0, 1, 4.
  const std::vector<double> first{1, 2, 3}, second{1, 3, 5};
  const auto c = estimate_variance_components(first, second, 6);
  CHECK(c.between == doctest::Approx(2).epsilon(1e-15));
  CHECK(c.within == doctest::Approx(6 * 5.0 / 3 / 2).epsilon(1e-15));
  const std::vector<double> opposite{5, 3, 1};
  CHECK(estimate_variance_components(first, opposite, 6).between == 0);
}

TEST_CASE("a pilot foresees the standard error of larger designs") {
  constexpr int prompts = test::draws(20'000);
  const experiment pilot(prompts, 32, 1);
  const auto seen = estimate_variance_components(pilot.win_rates(0, 16), pilot.win_rates(16, 16), 16);
  // The estimate from all 32, and another with 64 samples: the relative standard error of a variance is about √(2/prompts), of which
  // there are two; and from 16 to 64 samples m·variance falls by less than 1/16 (N²/m of it is the second term of Hoeffding's
  // expansion, at most half of which is gone).
  const double error = std::sqrt(2.0 / prompts);
  CHECK(variance(pilot.win_rates(0, 32)) == doctest::Approx(seen.of_prompt(32)).epsilon(4 * error + 0.01));
  CHECK(variance(experiment(prompts, 64, 2).win_rates(0, 64)) == doctest::Approx(seen.of_prompt(64)).epsilon(4 * error + 0.02));
  CHECK(standard_error_of(seen, 500, 64) == doctest::Approx(std::sqrt(seen.of_prompt(64) / 500)).epsilon(1e-15));
}

TEST_CASE("m·variance falls with m, so that a pilot is on the safe side") {
  double previous = std::numeric_limits<double>::infinity();
  for (const index_t m : {2, 4, 8, 32}) {
    const experiment e(test::draws(20'000), 2 * m, 5);
    const double within = estimate_variance_components(e.win_rates(0, m), e.win_rates(m, m), m).within;
    if (test::draws(25) == 25) CHECK(within < previous);  // by more than its error only with all draws
    CHECK(within > 0);
    previous = within;
  }
}

TEST_CASE("the plan is the cheapest of all") {
  for (const variance_components c :
       {variance_components{0.01, 0.2}, variance_components{0.04, 0.1}, variance_components{0, 0.3}})
    for (const sampling_costs costs : {sampling_costs{0, 1}, sampling_costs{50, 1}, sampling_costs{3, 0.01}})
      for (const double error : {0.004, 0.02, 0.2}) {
        const auto plan = plan_sampling(error, c, costs, {4, 300});
        CHECK(standard_error_of(c, plan.prompts, plan.samples) <= error);
        double cheapest = std::numeric_limits<double>::infinity();
        for (index_t m = 4; m <= 300; ++m) {
          index_t prompts = 1;
          while (standard_error_of(c, prompts, m) > error) ++prompts;
          cheapest = std::min(cheapest, static_cast<double>(prompts) * (costs.prompt + static_cast<double>(m) * costs.sample));
        }
        CHECK(plan.cost == doctest::Approx(cheapest).epsilon(1e-14));
        CHECK(plan.cost == doctest::Approx(static_cast<double>(plan.prompts) *
                                           (costs.prompt + static_cast<double>(plan.samples) * costs.sample)));
      }
  // Cochran's rule: m = √(within/between · prompt cost/sample cost) = √(0.2/0.01 · 20) = 20.
  const auto plan = plan_sampling(0.0005, {0.01, 0.2}, {20, 1});
  CHECK(plan.samples == 20);
  CHECK(plan.prompts == 80'000);
  CHECK(plan_sampling(0.01, {0.01, 0.2}, {0, 1}, {4, 64}).samples == 4);
}

TEST_CASE("bad input is named") {
  const std::vector<double> one{1}, two{1, 2}, bad{1, std::numeric_limits<double>::quiet_NaN()};
  const auto message = [](auto&& call) { return message_of<error>([&] { (void)call(); }); };
  CHECK(message([&] { return estimate_variance_components(two, one, 3); }) ==
        "estimate_variance_components: second has 1 values, but first has 2");
  CHECK(message([&] { return estimate_variance_components(one, one, 3); }) ==
        "estimate_variance_components: first has 1 values, at least two prompts are needed");
  CHECK(message([&] { return estimate_variance_components(two, bad, 3); }) ==
        "estimate_variance_components: second[1] is nan, must be finite");
  CHECK(message([&] { return estimate_variance_components(two, two, 0); }) ==
        "estimate_variance_components: samples is 0, must be at least 1");
  CHECK(message([] { return standard_error_of({1, 1}, 0, 1); }) == "standard_error_of: prompts is 0, must be at least 1");
  CHECK(message([] { return plan_sampling(0, {1, 1}); }) == "plan_sampling: error is 0, must be positive and finite");
  CHECK(message([] {
          return plan_sampling(1, {-1, 1});
        }) == "plan_sampling: components.between is -1, must be finite and not negative");
  CHECK(message([] {
          return plan_sampling(1, {1, 1}, {0, 0});
        }) == "plan_sampling: costs.sample is 0, must be positive and finite");
  CHECK(message([] {
          return plan_sampling(1, {1, 1}, {}, {8, 4});
        }) == "plan_sampling: range.most is 4, less than range.least, 8");
  CHECK(message([] {
          return plan_sampling(1e-9, {0, 1}, {}, {1, index_t{1} << 60});
        }) == "plan_sampling: range.most is 1152921504606846976, must be at most 16777216");
}
