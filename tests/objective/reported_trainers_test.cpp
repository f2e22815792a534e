// SPDX-License-Identifier: Apache-2.0
/// \file
/// What users of trainers reported: the naive formula fails, the library's value holds. Those that need logits of every type are in
/// reported_cases_test.cpp, those of one header in its own test.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "infalign/logits/token_statistics.hpp"
#include "infalign/objective/advantage/best_sample.hpp"
#include "infalign/objective/advantage/expected_reward.hpp"
#include "infalign/objective/advantage/group_normalized.hpp"
#include "infalign/objective/advantage/leave_one_out.hpp"
#include "infalign/objective/advantage/max_at_k.hpp"
#include "infalign/objective/advantage/mean_normalized.hpp"
#include "infalign/objective/advantage/pass_at_k.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/preferences.hpp"
#include "infalign/objective/presets/liger.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"
#include "objective/loss_table.hpp"
#include "support/allocations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::kl_weight;
using infalign::rows;
namespace presets = infalign::presets;
namespace test = infalign::test;

namespace {

using numbers = std::vector<double>;

rows<const double> row(const numbers& values) {
  return {values.data(), 1, static_cast<index_t>(values.size())};
}

template <class Advantage>
numbers advantages_of(const numbers& rewards, const Advantage& advantage) {
  infalign::scalar on;
  numbers out(rewards.size(), -99);
  advantage(on, row(rewards), rows<double>(out.data(), 1, static_cast<index_t>(out.size())));
  return out;
}

}  // namespace

TEST_CASE("reported: the gradient of the KL penalty is not that of the KL (TRL 4967, 3104, 6586; OpenRLHF 1309)") {
  const numbers policy{0.5, 0.3, 0.15, 0.05}, base{0.1, 0.2, 0.3, 0.4};
  double kl = 0;
  for (std::size_t a = 0; a < 4; ++a) kl += policy[a] * std::log(policy[a] / base[a]);
  const auto expected_gradient = [&](const infalign::kl_term& term) {
    numbers gradient(4, 0.0);  // Σ_a π(a)·slope(a)·(1{j = a} - π_j)
    for (std::size_t a = 0; a < 4; ++a) {
      infalign::token_row at{};
      at.log_prob = at.old_log_prob = std::log(policy[a]);
      at.base_log_prob = std::log(base[a]);
      const double slope = with_kl(infalign::reinforce{}, term)(at).by_log_prob;
      for (std::size_t j = 0; j < 4; ++j) gradient[j] += policy[a] * slope * ((a == j ? 1 : 0) - policy[j]);
    }
    return gradient;
  };
  const auto naive = expected_gradient({.beta = kl_weight(1)});  // k3 alone: the gradient of KL(π₀‖π), π - π₀
  const auto with_ratio = expected_gradient(presets::trl::kl(1));
  const auto k2 = expected_gradient({.beta = kl_weight(1), .value = {infalign::kl_estimator::k2}});
  for (std::size_t j = 0; j < 4; ++j) {
    const double right = policy[j] * (std::log(policy[j] / base[j]) - kl);
    CHECK(naive[j] == doctest::Approx(policy[j] - base[j]).epsilon(1e-12));
    CHECK(std::abs(naive[j] - right) > 0.02);
    CHECK(with_ratio[j] == doctest::Approx(right).epsilon(1e-12));
    CHECK(k2[j] == doctest::Approx(right).epsilon(1e-12));
  }
}

TEST_CASE(
    "reported: log-probability, entropy and KL take memory of the size of the logits (TRL 4013, 2799, 7124; OpenRLHF 718; verl "
    "6726; "
    "NeMo-RL 3978)") {
  infalign::scalar on;
  const std::vector<float> policy = test::normal_values<float>(2 * 50'000, 1), base = test::normal_values<float>(2 * 50'000, 2);
  const std::vector<std::int32_t> ids{7, 49'999};
  std::vector<float> log_prob(2), kl(2), entropy(2);
  const infalign::token_logits<float> batch{rows<const float>(policy.data(), 2, 50'000),
                                            rows<const float>(base.data(), 2, 50'000), ids};
  const long before = test::allocations();
  compute_token_statistics(on, batch, infalign::token_statistics<float>{{}, log_prob, kl, entropy});
  CHECK(test::allocations() == before);  // not one
  CHECK(kl[0] > 0);
  CHECK(entropy[1] < std::log(50'000.0));
}

TEST_CASE("reported: IPO's margin grows with the length of responses unless it is averaged (TRL 1677)") {
  const kl_weight beta(0.1);
  const auto loss = [&](infalign::log_ratio_of of, double times) {
    return infalign::ipo(beta, of)({0, 2 * times, 4 * times}, {0, -1 * times, 2 * times}).value;
  };
  // The same responses, each written `times` over.
  CHECK(loss(infalign::log_ratio_of::token, 1) == doctest::Approx(loss(infalign::log_ratio_of::token, 100)));
  CHECK(loss(infalign::log_ratio_of::token, 1) == doctest::Approx(std::pow(0.5 + 0.5 - 5, 2)));
  CHECK(loss(infalign::log_ratio_of::response, 100) == doctest::Approx(std::pow(300.0 - 5, 2)));
}

TEST_CASE("reported: the fused path of a loss gives other numbers than the plain one (Liger 1082)") {
  // The names of Liger and TRL stand for one function here; presets_test.cpp compares each with its trainer.
  const auto plain = with_kl(presets::trl::grpo(), presets::trl::kl(0.04, false));
  const auto fused = with_kl(presets::liger::grpo(), presets::liger::kl());
  for (const auto& y : test::trying_responses()) {
    const auto a = test::rows_of(plain, y), b = test::rows_of(fused, y);
    for (std::size_t t = 0; t < a.size(); ++t) {
      CHECK(plain(a[t]).value == fused(b[t]).value);
      CHECK(plain(a[t]).by_log_prob == fused(b[t]).by_log_prob);
    }
  }
}

TEST_CASE("reported: a group of equal rewards has advantages other than 0 (TRL 4764)") {
  for (const double reward : {0.0, 1.0, 0.1, -1e6, 123456.789, 1e300}) {
    const numbers tied(7, reward), nothing(7, 0.0);
    CAPTURE(reward);
    CHECK(advantages_of(tied, [](auto& on, auto r, auto out) { group_normalized_advantage(on, r, out); }) == nothing);
    CHECK(advantages_of(tied, [](auto& on, auto r, auto out) { leave_one_out_advantage(on, r, out); }) == nothing);
    CHECK(advantages_of(tied, [](auto& on, auto r, auto out) { max_at_k_advantage(on, r, 3, out); }) == nothing);
    CHECK(advantages_of(tied, [](auto& on, auto r, auto out) { best_sample_advantage(on, r, out); }) == nothing);
    CHECK(advantages_of(tied, [](auto& on, auto r, auto out) {
            expected_reward_advantage(on, r, infalign::best_of(3), out);
          }) == nothing);
  }
}

TEST_CASE("reported: the pass@k advantage of the best sample deviates from its paper (EasyR1 585)") {
  // Without the deviation its sum over rollouts is the unbiased estimate: max@n, over n.
  const numbers rewards{0.5, 2, -1, 1.25};
  const auto best = advantages_of(rewards, [](auto& on, auto r, auto out) {
    best_sample_advantage(on, r, out, {.over = infalign::best_over::second, .normalized = false});
  });
  const auto max = advantages_of(rewards, [](auto& on, auto r, auto out) { max_at_k_advantage(on, r, 4, out); });
  for (std::size_t i = 0; i < 4; ++i) CHECK(best[i] == doctest::Approx(max[i] / 4).epsilon(1e-14));
  CHECK(best[1] == 0.75);
}

TEST_CASE("reported: pass@k advantages by their closed form (rllm 743, ms-swift 5638, RUCAIBox/Passk_Training)") {
  // One of four passes, k = 2: R̄ = ½, σ = ½, A⁺ = 1, A⁻ = (½ - 2/3)/½.
  const auto a = advantages_of({0, 1, 0, 0}, [](auto& on, auto r, auto out) { pass_at_k_advantage(on, r, 2, out); });
  CHECK(a[1] == doctest::Approx(1).epsilon(1e-12));
  for (const std::size_t i : {0U, 2U, 3U}) CHECK(a[i] == doctest::Approx(-1.0 / 3).epsilon(1e-12));
}

TEST_CASE("reported: MaxRL's advantage, deviations over the mean reward (TRL 5026)") {
  const auto a = advantages_of({0, 1, 0, 0}, [](auto& on, auto r, auto out) { mean_normalized_advantage(on, r, out); });
  CHECK(a[1] == doctest::Approx(3).epsilon(1e-5));
  CHECK(a[0] == doctest::Approx(-1).epsilon(1e-5));
}

TEST_CASE("reported: ties decide win rates (HELM 2991)") {
  infalign::scalar on;
  const numbers policy{1, 1, 1, 2}, base{1, 1, 0, 1};
  numbers out(1);
  procedure_win_rate(on, row(policy), row(base), infalign::standard(), out);
  // Of 16 pairs, 3 · 1 + 4 are won and 9 tied. Counting ties as wins or as losses gives 1 or 7/16.
  CHECK(out[0] == doctest::Approx((7 + 0.5 * 9) / 16).epsilon(1e-15));
  procedure_win_rate(on, row(numbers{5, 5, 5}), row(numbers{5, 5}), infalign::best_of(2), out);
  CHECK(out[0] == 0.5);
}
