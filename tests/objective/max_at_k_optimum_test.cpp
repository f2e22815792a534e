// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/core/normal_distribution.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/objective/advantage/expected_reward.hpp"
#include "infalign/objective/advantage/max_at_k.hpp"
#include "infalign/procedure/best_of.hpp"

using infalign::index_t;

namespace {

/// The toy problem of Walder and Karkhanis (arXiv 2505.15201): the policy is a normal distribution around θ with deviation 0.1, and the
/// reward is x² on [0, 1] and 0 elsewhere. The policy is represented by its 40,000 quantiles in the middle of equal shares.
class normal_policy {
 public:
  explicit normal_policy(double theta) {
    for (index_t i = 0; i < samples; ++i) {
      const double score = infalign::standard_normal_quantile((static_cast<double>(i) + 0.5) / samples) / deviation;
      const double x = theta + deviation * deviation * score;
      scores_.push_back(score);
      rewards_.push_back(x < 0 || x > 1 ? 0 : x * x);
    }
  }
  /// The derivative of max@k with respect to θ, by advantages times `d log π/dθ = (x - θ)/0.1²`. With the baseline of subsets, or
  /// the other.
  double gradient(index_t k, bool of_subsets) {
    std::vector<double> advantages(rewards_.size());
    const infalign::rows<double> out(advantages.data(), 1, samples);
    if (of_subsets)
      infalign::max_at_k_advantage(on_, rewards(), k, out);
    else
      infalign::expected_reward_advantage(on_, rewards(), infalign::best_of(k), out);
    double sum = 0;
    for (std::size_t i = 0; i < advantages.size(); ++i) sum += advantages[i] * scores_[i];
    return sum / samples;
  }
  double value(index_t k) {
    std::array<double, 1> value{};
    infalign::expected_reward(on_, rewards(), infalign::best_of(k), value);
    return value[0];
  }

 private:
  static constexpr index_t samples = 40000;
  static constexpr double deviation = 0.1;
  infalign::rows<const double> rewards() const { return {rewards_.data(), 1, samples}; }
  infalign::simd on_;
  std::vector<double> scores_, rewards_;
};

}  // namespace

TEST_CASE("the published optima of max@k are where its gradient is 0") {
  struct published {
    index_t k;
    double theta, value;
  };
  // Figure 1. Rounded to four digits, the optima lie within 5e-5 of what is printed.
  for (const auto& p :
       {published{1, .8624, .6613}, {2, .9017, .8004}, {4, .9387, .8924}, {8, .9690, .9438}, {16, .9856, .9707}}) {
    CAPTURE(p.k);
    normal_policy below(p.theta - 5e-5), at(p.theta), above(p.theta + 5e-5);
    for (const bool of_subsets : {false, true}) {
      if (of_subsets && p.k == 1) continue;
      CHECK(below.gradient(p.k, of_subsets) > 0);
      CHECK(above.gradient(p.k, of_subsets) < 0);
    }
    CHECK(std::abs(at.value(p.k) - p.value) <= 5e-5);
  }
}
