// SPDX-License-Identifier: Apache-2.0
/// \file
/// Predictions of prompts that lie on several machines, here threads, against one call with all prompts.
#include <doctest/doctest.h>

#include <barrier>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <thread>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/evaluation/off_policy_part.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/transform/exponential.hpp"

namespace {

using infalign::index_t;

/// What all parts hand in, merged in their order once the last one is there.
template <class State>
struct meeting_place {
  explicit meeting_place(std::size_t parts) : states(parts), all(static_cast<std::ptrdiff_t>(parts)) {}
  State merged(std::size_t part, const State& own) {
    states[part] = own;
    all.arrive_and_wait();
    State whole;
    for (const State& state : states) whole.merge(state);
    return whole;
  }
  std::vector<State> states;
  std::barrier<> all;
};

void check_close(double a, double b) {
  CHECK((a == b || std::abs(a - b) <= 1e-12 * (1 + std::abs(b)) || (std::isnan(a) && std::isnan(b))));
}

}  // namespace

TEST_CASE("off-policy evaluation of parts is that of all prompts") {
  // Nine prompts of 2 to 6 samples. Levels tie, and the best one is in the last prompt alone, so that parts do not know it.
  std::vector<double> rewards;
  std::vector<index_t> offsets{0};
  for (int p = 0; p < 9; ++p) {
    for (int i = 0; i < 2 + (4 * p) % 5; ++i) rewards.push_back((p * p + 3 * i) % 4 + (p == 8 && i == 0 ? 9 : 0));
    offsets.push_back(static_cast<index_t>(rewards.size()));
  }
  const auto evaluated = [&](index_t from, index_t to, const auto& share) {
    std::vector<index_t> own;
    for (index_t p = from; p <= to; ++p)
      own.push_back(offsets[static_cast<std::size_t>(p)] - offsets[static_cast<std::size_t>(from)]);
    const infalign::span<const double> values(rewards.data() + offsets[static_cast<std::size_t>(from)], own.back());
    infalign::scalar on;
    return infalign::evaluate_off_policy_part(on, infalign::ragged<const double>(values, own), infalign::exponential(3),
                                              infalign::kl_weight(0.5), infalign::best_of(2), infalign::best_of(2), share);
  };
  infalign::scalar on;
  const auto expected =
      infalign::evaluate_off_policy(on, infalign::ragged<const double>(rewards, offsets), infalign::exponential(3),
                                    infalign::kl_weight(0.5), infalign::best_of(2), infalign::best_of(2));
  meeting_place<infalign::off_policy_pool> pools(3);
  meeting_place<infalign::off_policy_sums> sums(3);
  const index_t ends[] = {0, 4, 4, 9};  // the second part has no prompt
  std::vector<infalign::off_policy_evaluation> found(3);
  std::vector<std::thread> parts;
  for (std::size_t part = 0; part < 3; ++part)
    parts.emplace_back([&, part] {
      found[part] = evaluated(ends[part], ends[part + 1], [&]<class State>(const State& own) {
        if constexpr (std::same_as<State, infalign::off_policy_pool>)
          return pools.merged(part, own);
        else
          return sums.merged(part, own);
      });
    });
  for (std::thread& part : parts) part.join();
  CHECK(expected.inference_win_rate.unseen > 0);
  for (const infalign::off_policy_evaluation& of : found) {
    for (const auto value : {&infalign::off_policy_evaluation::kl, &infalign::off_policy_evaluation::standard_win_rate,
                             &infalign::off_policy_evaluation::inference_win_rate}) {
      CHECK((of.*value).corrected.count == 9);
      check_close((of.*value).corrected.value, (expected.*value).corrected.value);
      check_close((of.*value).corrected.standard_error, (expected.*value).corrected.standard_error);
      check_close((of.*value).plug_in.value, (expected.*value).plug_in.value);
      check_close((of.*value).unseen, (expected.*value).unseen);
      check_close((of.*value).bias(), (expected.*value).bias());
    }
    check_close(of.effective_samples.value, expected.effective_samples.value);
    CHECK(of.thin_prompts == expected.thin_prompts);
    CHECK(of.blind_prompts == expected.blind_prompts);
    CHECK(of.small_prompts == expected.small_prompts);
    CHECK(of.tied_prompts == expected.tied_prompts);
    CHECK(of.doubt() == expected.doubt());
  }
}
