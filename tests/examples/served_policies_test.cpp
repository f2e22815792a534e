// SPDX-License-Identifier: Apache-2.0
// Procedures that run on the main job's model: its adapters against the model itself, the prefix scorer against the truth, and what is
// served against formulas.

#include "served_policies.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "serving_model.hpp"
#include "support/samples.hpp"

namespace {

using infalign::index_t, infalign::span;

/// Prompts, as many in training as held out, with an untrained base policy, a reward that likes some letters, and `references` samples.
align::scenario serving_scenario(std::size_t prompts, std::size_t references) {
  align::random_stream random(5);
  align::scenario from{{}, align::language_model<float>(random), {}, {}, {}, {}};
  for (std::size_t p = 0; p < 2 * prompts; ++p) {
    align::word prefix;
    for (int i = 0; i < align::prompt_length; ++i) prefix.append(static_cast<int>(random.below(align::n_letters)));
    (p < prompts ? from.prompts.train : from.prompts.held_out).push_back({prefix, {}});
  }
  for (float& w : from.reward.weights()) w = static_cast<float>(0.1 * (random.uniform() - 0.5));
  for (int z = 0; z < align::n_letters; ++z) {
    align::word letter;
    letter.append(z);
    const align::ngram_features features(letter);
    const auto liked = static_cast<float>(random.uniform() - 0.5);
    for (int i = 0; i < features.count; ++i) from.reward.weights()[features.bucket[static_cast<std::size_t>(i)]] += liked;
  }
  const auto sampled = [&](const std::vector<align::prompt>& of, std::size_t n, std::uint64_t stream) {
    return align::sample_rewards(from.base, from.reward, of, n, random.child(stream));
  };
  from.calibration = sampled(from.prompts.train, 64, 1);
  from.evaluation = sampled(from.prompts.held_out, references, 2);
  from.closed_form = sampled(from.prompts.held_out, references, 3);
  return from;
}

std::vector<infalign::sample_request> sample_requests(index_t n) {
  std::vector<infalign::sample_request> requests;
  for (index_t i = 0; i < n; ++i) requests.push_back({i % 3, i, static_cast<std::uint64_t>(i) + 1});
  return requests;
}

}  // namespace

TEST_CASE("the model as a sampler: letters have the probabilities of its logits, a request its own random numbers") {
  const align::scenario from = serving_scenario(3, 1);
  align::serving_model model(from.base, from.prompts.held_out);
  constexpr index_t n = 3 * infalign::test::draws(5000);
  const auto requests = sample_requests(n);
  const std::vector<align::completion> drawn = model(span<const infalign::sample_request>(requests));
  std::vector<double> expected(align::vocabulary), counts(align::vocabulary);
  for (index_t p = 0; p < 3; ++p) {
    const infalign::token_request first{p, {}};
    const std::vector<float> logits = model(span<const infalign::token_request>(&first, 1));
    REQUIRE(logits.size() == align::vocabulary);
    double total = 0;
    for (const float x : logits) total += std::exp(static_cast<double>(x));
    for (std::size_t z = 0; z < logits.size(); ++z) expected[z] += std::exp(static_cast<double>(logits[z])) / total * n / 3;
  }
  for (const align::completion& c : drawn) {
    CHECK(c.ended);
    const bool marked = c.letters.length < align::longest_word;
    CHECK(align::token_count(c) == c.letters.length - align::prompt_length + (marked ? 1 : 0));
    const int first = c.letters.length == align::prompt_length ? align::end_of_word : c.letters[align::prompt_length];
    ++counts[static_cast<std::size_t>(first)];
  }
  for (std::size_t z = 0; z < counts.size(); ++z) CHECK(std::abs(counts[z] - expected[z]) <= 4 * std::sqrt(expected[z]));
  // Alone or in a batch.
  const std::vector<align::completion> alone = model(span<const infalign::sample_request>(&requests[7], 1));
  CHECK(alone[0].letters.text() == drawn[7].letters.text());
}

TEST_CASE("blocks go on where they stand and are as long as they may be; a prefix has one value, by row and by block") {
  const align::scenario from = serving_scenario(3, 1);
  align::serving_model model(from.base, from.prompts.held_out);
  align::prefix_scorer scorer(from.base, from.prompts.held_out);  // any network
  align::completion prefix{from.prompts.held_out[1].prefix};
  int block = 0;
  for (; !prefix.ended; ++block) {
    const infalign::block_request<align::completion> request{1, 0, block, 2, 20u + static_cast<unsigned>(block), &prefix};
    const align::completion longer = model(span<const infalign::block_request<align::completion>>(&request, 1))[0];
    CHECK(longer.letters.prefix(prefix.letters.length).text() == prefix.letters.text());
    const index_t added = align::token_count(longer) - align::token_count(prefix);
    CHECK((added == 2 || (longer.ended && added == 1)));
    prefix = longer;
    // The value of its last token in the row of what is in front of it.
    std::vector<index_t> tokens;
    for (int i = align::prompt_length; i < align::before_last(prefix).length; ++i) tokens.push_back(prefix.letters[i]);
    const infalign::token_request row{1, tokens};
    const std::vector<float> values = scorer(span<const infalign::token_request>(&row, 1));
    CHECK(scorer(span<const align::completion>(&prefix, 1))[0] == values[static_cast<std::size_t>(align::last_token(prefix))]);
  }
  CHECK(block > 2);
}

TEST_CASE("the scorer's error on held-out prefixes does not depend on how many completions it is measured by") {
  constexpr bool all = infalign::test::draws(25) == 25;  // else memory is what is tested
  const align::scenario from = serving_scenario(all ? 120 : 2, 16);
  const auto squares = [&](index_t completions) {  // of the same prefixes, by a scorer that was not trained
    const align::scorer_error off = align::learn_prefix_scorer(from, {0, completions, 0, 0}, align::random_stream(4)).off;
    return std::array{off.error * off.error, off.spread * off.spread};
  };
  const auto by_few = squares(2), by_many = squares(64);
  // Values vary by 0.2, completions of a prefix as much. With d the difference of two means of two and of 64 completions, squares
  // differ by 2·0.2·d + d², d being about 0.2·√(1/2 + 1/64).
  const double d = 0.2 * std::sqrt(0.5 + 1.0 / 64), deviation = (2 * 0.2 * d + std::sqrt(2.0) * d * d) / std::sqrt(120.0);
  for (std::size_t i = 0; i < 2 && all; ++i) CHECK(std::abs(by_few[i] - by_many[i]) <= 4 * deviation);
}

TEST_CASE("the prefix scorer learns; what is served is worth what the formulas say; costs are counted") {
  constexpr bool all = infalign::test::draws(25) == 25;  // else memory is what is tested
  const align::scenario from = serving_scenario(all ? 48 : 4, all ? 256 : 16);
  const align::serving_plan plan = all ? align::serving_plan{120, 32, 32, 256} : align::serving_plan{2, 2, 2, 16};
  const align::learned_scorer scorer = align::learn_prefix_scorer(from, plan, align::random_stream(6));
  const align::served_policy base{"base", "base", 0, from.base};
  const auto served = align::serve_policy(base, from, scorer, plan, align::random_stream(7));
  const auto results = align::summarize_served(base, served, served, from);
  REQUIRE(results.size() == align::n_served_procedures);
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i].procedure == i);
    CHECK(results[i].foretold.has_value() == (i < 6));
    CHECK(results[i].optimum.has_value() == (i < 6));
    CHECK(!results[i].same_win_rate);  // the base against itself
  }
  const auto of_first = served[0].rewards.rows()[0];
  CHECK(of_first[0] != of_first[1]);  // served twice, drawn anew
  for (const std::size_t of_four : {1u, 2u, 4u}) CHECK((results[of_four].samples == 4 && results[of_four].scores == 4));
  CHECK(results[7].samples == results[7].tokens);
  CHECK(results[7].scores == doctest::Approx(align::vocabulary * results[7].tokens));
  // Theory: 4/5, 1/5, 1 - ∫ u·e^{3(u-1)} du, and a share of 0.8⁴ that never passes.
  CHECK(*results[1].optimum == doctest::Approx(0.8).epsilon(1e-9));
  CHECK(*results[2].optimum == doctest::Approx(0.2).epsilon(1e-9));
  CHECK(*results[3].optimum == doctest::Approx(1 - (2 + std::exp(-3.0)) / 9).epsilon(1e-9));
  CHECK(*results[5].optimum == doctest::Approx(0.4096 * 0.4 + 0.5904 * 0.9).epsilon(1e-9));
  if (!all) return;

  CAPTURE(scorer.off.error);
  CAPTURE(scorer.off.spread);
  CHECK(scorer.off.error < 0.8 * scorer.off.spread);
  for (std::size_t i = 0; i < 6; ++i) {
    const align::served_result& r = results[i];
    CAPTURE(align::served_procedures[i].name);
    CAPTURE(r.win_rate.value);
    CAPTURE(r.foretold->value);
    CAPTURE(*r.optimum);
    CHECK(std::abs(r.deviation()) <= 4);
    CHECK(std::abs(r.win_rate.value - *r.optimum) <= 4 * r.win_rate.standard_error);  // words hardly ever tie here
  }
  for (const std::size_t i : {6u, 7u})
    CHECK(results[i].win_rate.value > results[0].win_rate.value + 4 * results[i].win_rate.standard_error);
  // 1 + Poisson(3) samples; 1 + 0.8 + 0.8² + 0.8³ until one passes. Their deviations are √3 and less.
  CHECK(std::abs(results[3].samples - 4) <= 4 * std::sqrt(3.0 / (48 * 32)));
  CHECK(std::abs(results[5].samples - 2.952) <= 4 * std::sqrt(3.0 / (48 * 32)));
}

TEST_CASE("an aligned policy is served against the base, and against what theory says of its transform") {
  const align::scenario from = serving_scenario(4, 16);
  const align::serving_plan plan{1, 2, 2, 16};
  const align::learned_scorer scorer{from.base, {}};
  const align::served_policy base{"base", "base", 0, from.base};
  const auto of_base = align::serve_policy(base, from, scorer, plan, align::random_stream(8));
  const auto served = [&](const std::string& name) {
    const align::served_policy aligned{name + ", rloo", name, 0.25, from.base};
    return align::summarize_served(aligned, align::serve_policy(aligned, from, scorer, plan, align::random_stream(9)), of_base,
                                   from);
  };
  // β = 1/4: ∫ u·e^{4u} du / ∫ e^{4u} du; and the same of e^{10(u - 1)} by SciPy's quad.
  CHECK(*served("identity")[0].optimum == doctest::Approx(1 / (1 - std::exp(-4.0)) - 0.25).epsilon(1e-9));
  CHECK(*served("exponential:10")[0].optimum == doctest::Approx(0.7887245840812928).epsilon(1e-9));
  const auto raw = served("raw");
  CHECK(!raw[0].optimum);
  CHECK(raw[0].foretold);
  CHECK(raw[0].same_win_rate);
  CHECK(raw[0].policy == "raw, rloo");
  CHECK(raw[0].beta == 0.25);
}
