// SPDX-License-Identifier: Apache-2.0
/// What is wrong is named: function, argument, index and value.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <infalign/serving.hpp>
#include <limits>
#include <string>
#include <vector>

#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("parameters of procedures") {
  CHECK_THROWS_WITH_AS(best_of(0), "best_of: N is 0, must be at least 1", domain_error);
  CHECK_THROWS_WITH_AS(soft_best_of(0, 1), "soft_best_of: N is 0, must be at least 1", domain_error);
  CHECK_THROWS_WITH_AS(soft_best_of(2, 0), "soft_best_of: lambda is 0, must be positive and finite", domain_error);
  CHECK_THROWS_WITH_AS(soft_best_of(2, not_a_number), "soft_best_of: lambda is nan, must be positive and finite", domain_error);
  CHECK_THROWS_WITH_AS(rewind_and_repeat(0.5, 0), "rewind_and_repeat: attempts is 0, must be at least 1", domain_error);
  CHECK_THROWS_WITH_AS(rewind_and_repeat(not_a_number, 2), "rewind_and_repeat: threshold is nan, must not be NaN",
                       domain_error);
  CHECK_THROWS_WITH_AS(majority_of(0), "majority_of: N is 0, must be at least 1", domain_error);
  CHECK_THROWS_WITH_AS(stopped_at(best_of(2), not_a_number), "stopped_at: threshold is nan, must not be NaN", domain_error);
  const std::vector<double> thresholds{0.5, not_a_number};
  CHECK_THROWS_WITH_AS(stopped_at(best_of(2), thresholds), "stopped_at: thresholds[1] is nan, must not be NaN", domain_error);
  CHECK_THROWS_WITH_AS(best_of_blocks(0, 1, 1), "best_of_blocks: candidates is 0, must be in 1 … 2^30 - 1", domain_error);
  CHECK_THROWS_WITH_AS(best_of_blocks(1, 0, 1), "best_of_blocks: length is 0, must be at least 1", domain_error);
  CHECK_THROWS_WITH_AS(best_of_blocks(1, 1, 0), "best_of_blocks: most_tokens is 0, must be in 1 … 2^30 - 1", domain_error);
  CHECK_THROWS_WITH_AS(tilted_tokens(kl_weight(0), 2, -1, 1), "tilted_tokens: beta is 0, must be positive", domain_error);
  CHECK_THROWS_WITH_AS(tilted_tokens(kl_weight(1), 0, -1, 1), "tilted_tokens: vocabulary is 0, must be at least 1",
                       domain_error);
  CHECK_THROWS_WITH_AS(tilted_tokens(kl_weight(1), 2, 2, 1), "tilted_tokens: end is 2, must be -1 or one of 2 tokens",
                       domain_error);
  CHECK_THROWS_WITH_AS(tilted_tokens(kl_weight(1), 2, 1, 0), "tilted_tokens: most_tokens is 0, must be in 1 … 2^30 - 1",
                       domain_error);
  CHECK_THROWS_WITH_AS(prompt_numbers(-1), "prompt_numbers: prompts is -1, must not be negative", domain_error);
}

TEST_CASE("what sampler and scorer return") {
  const auto too_few = [](span<const sample_request> requests) {
    return std::vector<double>(static_cast<std::size_t>(requests.size() - 1), 0.0);
  };
  CHECK_THROWS_WITH_AS(static_cast<void>(serve(best_of(3), too_few, test::own_reward, 2)),
                       "serve: sampler returned 5 responses for 6 requests", shape_error);
  const auto scores_too_few = [](span<const sample_request>, span<const double>) { return std::vector<double>{1, 2}; };
  CHECK_THROWS_WITH_AS(static_cast<void>(serve(best_of(3), test::uniform_policy, scores_too_few, 2)),
                       "serve: scorer returned 2 values for 6 requests", shape_error);
  for (const double bad : {not_a_number, infinite, -infinite}) {
    const auto scores = [&](span<const sample_request>, span<const double> responses) {
      std::vector<double> values(static_cast<std::size_t>(responses.size()), 1.0);
      values[4] = bad;
      return values;
    };
    const std::string shown = std::isnan(bad) ? "nan" : bad > 0 ? "inf" : "-inf";
    CHECK_THROWS_WITH_AS(static_cast<void>(serve(best_of(3), test::uniform_policy, scores, 2)),
                         ("serve: scorer's value[4], of prompt 1, attempt 1, is " + shown + ", must be finite").c_str(),
                         domain_error);
  }
  CHECK_THROWS_WITH_AS(
      static_cast<void>(serve_majority(majority_of(3), too_few, [](double y) { return y; }, 2, {.at_once = 3})),
      "serve_majority: sampler returned 5 responses for 6 requests", shape_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve(best_of(3), test::uniform_policy, test::own_reward, 2, {.at_once = -1})),
                       "serve: at_once is -1, must not be negative", domain_error);
  const std::vector<double> thresholds{0.5, 0.6};
  CHECK_THROWS_WITH_AS(static_cast<void>(serve(stopped_at(best_of(3), thresholds), test::uniform_policy, test::own_reward, 3)),
                       "serve: thresholds of stopped_at has 2 values for 3 prompts", shape_error);
}

TEST_CASE("blocks and tokens") {
  using text = std::string;
  const auto grown = [](std::size_t by) {
    return [by](span<const block_request<text>> requests) {
      std::vector<text> extended;
      for (const auto& r : requests) extended.push_back(*r.prefix + text(by, 'x'));
      return extended;
    };
  };
  const auto zero = [](span<const block_request<text>>, span<const text> responses) {
    return std::vector<double>(static_cast<std::size_t>(responses.size()), 0.0);
  };
  const auto never = [](const text&) { return false; };
  const best_of_blocks two(2, 3, 6);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(serve_blocks(two, grown(4), zero, never, std::vector<text>(2), 2)),
      "serve_blocks: sampler's response[0], of prompt 0, candidate 0, has 4 tokens more than its prefix, must be in 0 … 3",
      domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_blocks(two, grown(0), zero, never, std::vector<text>(2), 2)),
                       "serve_blocks: sampler's response[0], of prompt 0, candidate 0, has 0 tokens more than its prefix, must "
                       "be finished or in 1 … 3",
                       domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_blocks(two, grown(1), zero, never, std::vector<text>(1), 2)),
                       "serve_blocks: starts has 1 responses for 2 prompts", shape_error);

  const auto rows_of = [](std::vector<double> row) {
    return [row](span<const token_request> requests) {
      std::vector<double> all;
      for (index_t i = 0; i < requests.size(); ++i) all.insert(all.end(), row.begin(), row.end());
      return all;
    };
  };
  const tilted_tokens two_tokens(kl_weight(1), 2, -1, 3);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_tokens(two_tokens, rows_of({0}), rows_of({0, 0}), 2)),
                       "serve_tokens: step returned 2 values for 2 requests of 2 tokens, must be 4", shape_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_tokens(two_tokens, rows_of({0, 0}), rows_of({0, 0, 0}), 2)),
                       "serve_tokens: scorer returned 6 values for 2 requests of 2 tokens, must be 4", shape_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_tokens(two_tokens, rows_of({0, not_a_number}), rows_of({0, 0}), 2)),
                       "serve_tokens: logit[0][1], of prompt 0, is nan, must be finite or -inf", domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_tokens(two_tokens, rows_of({0, infinite}), rows_of({0, 0}), 2)),
                       "serve_tokens: logit[0][1], of prompt 0, is inf, must be finite or -inf", domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_tokens(two_tokens, rows_of({0, 0}), rows_of({not_a_number, 0}), 2)),
                       "serve_tokens: scorer's value[0][0], of prompt 0, is nan, must be finite", domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(serve_tokens(two_tokens, rows_of({-infinite, -infinite}), rows_of({0, 0}), 2)),
                       "serve_tokens: logit[0], of prompt 0: the largest tilted logit is -inf, must be finite", domain_error);
}

TEST_CASE("prices and references") {
  const std::vector<double> none, one{1}, bad{1, infinite};
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_value(one, 0)),
                       "reservation_value: price is 0, must be positive and finite", domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_value(one, not_a_number)),
                       "reservation_value: price is nan, must be positive and finite", domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_value(none, 1)), "reservation_value: references is empty", shape_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_value(bad, 1)), "reservation_value: references[1] is inf, must be finite",
                       domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(expected_gain(one, not_a_number)), "expected_gain: best is nan, must not be NaN",
                       domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_values(rows<const double>(bad.data(), 2, 1), 1)),
                       "reservation_values: references[1][0] is inf, must be finite", domain_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_values(rows<const double>(bad.data(), 2, 0), 1)),
                       "reservation_values: references of prompt 0 are none", shape_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(reservation_quantile(-1)),
                       "reservation_quantile: price is -1, must be positive and finite", domain_error);
}
