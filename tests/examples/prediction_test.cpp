// SPDX-License-Identifier: Apache-2.0
// What the main job foretells of the optimal policies, against the same policies built on other samples and played.

#include "prediction.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "support/samples.hpp"

namespace {

/// Rewards of base samples of prompts that differ: partly one of eight frequent answers, partly continuous. Of a size that raw
/// rewards at the methods' KL weights give KLs up to 1, which 64 samples carry.
align::reward_table base_rewards(std::size_t prompts, std::size_t per_prompt, std::uint64_t seed) {
  align::reward_table table{{}, per_prompt};
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> answer(0, 7);
  for (std::size_t p = 0; p < prompts; ++p) {
    const float share = static_cast<float>(p % 4) / 4;  // of frequent answers: none, a quarter, a half, three quarters
    for (std::size_t i = 0; i < per_prompt; ++i) {
      const bool frequent = std::uniform_real_distribution<float>()(generator) < share;
      table.values.push_back(frequent ? 0.1f * static_cast<float>(answer(generator)) - 0.3f : 0.3f * normal(generator));
    }
  }
  return table;
}

}  // namespace

TEST_CASE("a tilted distribution is drawn from with its probabilities") {
  const std::vector<float> rewards{5, 6, 7, 8}, objective{0.0f, 1.0f, 0.5f, 1.0f};
  const align::reward_distribution tilted(rewards, objective, 0.5);
  double total = 0;
  for (const float r : objective) total += std::exp(static_cast<double>(r) / 0.5);
  align::random_stream random(1);
  constexpr int draws = 200'000;
  int counts[4] = {};
  for (int i = 0; i < draws; ++i) ++counts[tilted.draw(random)];
  for (std::size_t i = 0; i < 4; ++i) {
    const double p = std::exp(static_cast<double>(objective[i]) / 0.5) / total;
    CHECK(std::abs(counts[i] - draws * p) <= 4 * std::sqrt(draws * p * (1 - p)));
    CHECK(tilted.log_ratio(i) == doctest::Approx(std::log(4 * p)).epsilon(1e-12));
    CHECK(tilted.reward(i) == rewards[i]);
  }
}

TEST_CASE("for every method and KL weight what is foretold is what the tabular policy does") {
  using backend = infalign::simd;
  const auto seen = base_rewards(infalign::test::draws(400), 128, 1), own = base_rewards(infalign::test::draws(400), 512, 2);
  std::uint64_t stream = 0;
  for (const auto& how : align::all_methods<backend>(64))
    for (const double beta : how.betas) {
      const align::prediction p = align::predict_and_play(backend(), seen, own, how, beta, align::random_stream(++stream));
      CAPTURE(how.name);
      CAPTURE(beta);
      CAPTURE(p.predicted.kl.value);
      CAPTURE(p.tabular.kl.value);
      CHECK(p.predicted.kl.value > 0.1);
      for (const infalign::estimate& e : p.win_rate_difference) CHECK((e.lowest == -1 && e.highest == 1));
      CHECK((std::isinf(p.kl_difference.lowest) && std::isinf(p.kl_difference.highest)));
      // Four differences of each of 36 policies: the largest of so many normal numbers is below 4.5 with probability 0.999.
      CHECK(p.largest_deviation() < 4.5);
    }
}
