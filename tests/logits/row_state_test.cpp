// SPDX-License-Identifier: Apache-2.0
#include "infalign/logits/row_state.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "infalign/backend/scalar.hpp"
#include "infalign/logits/passes.hpp"
#include "logits/loss_by_definition.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::row_state;
namespace test = infalign::test;

namespace {

using both_terms = infalign::row_terms<true, true>;

static_assert(std::is_trivially_copyable_v<row_state> && std::is_trivially_copyable_v<infalign::row_statistics>);

/// The state of columns `[begin, end)` of a row.
row_state state_of(const std::vector<double>& policy, const std::vector<double>& base, std::size_t begin, std::size_t end,
                   std::size_t token) {
  infalign::scalar_team team;
  infalign::kept_exponentials<double> none;
  const bool holds_token = begin <= token && token < end;
  return infalign::read_row<both_terms>(team, policy.data() + begin, base.data() + begin, static_cast<index_t>(end - begin),
                                        holds_token ? static_cast<index_t>(token - begin) : -1, none);
}

void check_close(const infalign::row_statistics& actual, const infalign::row_statistics& expected) {
  CHECK(actual.log_prob() == doctest::Approx(expected.log_prob()).epsilon(1e-13));
  CHECK(actual.base_log_prob() == doctest::Approx(expected.base_log_prob()).epsilon(1e-13));
  CHECK(actual.kl == doctest::Approx(expected.kl).epsilon(1e-12));
  CHECK(actual.entropy == doctest::Approx(expected.entropy).epsilon(1e-12));
}

}  // namespace

TEST_CASE("a row read in parts and merged is the row, whatever the parts and their order") {
  const std::size_t v = 1000, token = 437;
  auto policy = test::normal_values<double>(v, 1), base = test::normal_values<double>(v, 2);
  policy[3] = policy[700] = -infalign::infinity<double>;                   // masked
  for (std::size_t j = 600; j < v; ++j) policy[j] += 300, base[j] -= 200;  // shards whose logits lie far apart
  policy[token] += 299;
  const test::numbers wide_policy = test::wide(policy), wide_base = test::wide(base);
  const infalign::row_statistics whole = infalign::statistics_of(state_of(policy, base, 0, v, token), both_terms::value);
  CHECK(whole.log_prob() == doctest::Approx(static_cast<double>(test::log_softmax(wide_policy)[token])).epsilon(1e-13));
  CHECK(whole.kl == doctest::Approx(static_cast<double>(test::kl(wide_policy, wide_base))).epsilon(1e-12));
  CHECK(whole.entropy == doctest::Approx(static_cast<double>(test::entropy(wide_policy))).epsilon(1e-12));
  for (const std::vector<std::size_t>& cuts :
       {std::vector<std::size_t>{0, v}, {0, 437, v}, {0, 1, 999, v}, {0, 3, 4, 100, 438, 599, 600, 601, v}}) {
    std::vector<row_state> parts;
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) parts.push_back(state_of(policy, base, cuts[i], cuts[i + 1], token));
    row_state forwards, backwards, pairs;
    for (const row_state& part : parts) forwards.merge(part);
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) backwards.merge(*part);
    for (std::size_t i = 0; i < parts.size(); i += 2) {
      row_state pair = parts[i];
      if (i + 1 < parts.size()) pair.merge(parts[i + 1]);
      pairs.merge(pair);
    }
    for (const row_state& merged : {forwards, backwards, pairs})
      check_close(infalign::statistics_of(merged, both_terms::value), whole);
  }
}

TEST_CASE("shards of policies that are close to each other keep the digits of a small KL") {
  const std::size_t v = 900;
  const auto policy = test::normal_values<double>(v, 1);
  auto base = test::normal_values<double>(v, 2);
  for (std::size_t j = 0; j < v; ++j) base[j] = policy[j] + 1e-5 * base[j];
  const double whole = infalign::statistics_of(state_of(policy, base, 0, v, 5), both_terms::value).kl;
  CHECK(whole < 1e-10);
  CHECK(whole == doctest::Approx(static_cast<double>(test::kl(test::wide(policy), test::wide(base)))).epsilon(1e-4));
  row_state merged;
  for (std::size_t begin = 0; begin < v; begin += 100) merged.merge(state_of(policy, base, begin, begin + 100, 5));
  CHECK(infalign::statistics_of(merged, both_terms::value).kl == doctest::Approx(whole).epsilon(1e-10));
}

TEST_CASE("a fresh state is the neutral element of merging") {
  const auto policy = test::normal_values<double>(50, 1), base = test::normal_values<double>(50, 2);
  const row_state state = state_of(policy, base, 0, 50, 7);
  row_state left, right = state;
  left.merge(state);
  right.merge(row_state());
  for (const row_state& merged : {left, right}) {
    CHECK(merged.policy.shift == state.policy.shift);
    CHECK(merged.policy.sum == state.policy.sum);
    CHECK(merged.base.sum == state.base.sum);
    CHECK(merged.entropy.top == state.entropy.top);
    CHECK(merged.entropy.rest == state.entropy.rest);
    CHECK(merged.entropy.weighted == state.entropy.weighted);
    CHECK(merged.weighted_ratio == state.weighted_ratio);
    CHECK(merged.divergence == state.divergence);
    CHECK(merged.token_logit == state.token_logit);
    CHECK(merged.token_base_logit == state.token_base_logit);
  }
}

TEST_CASE("a part that is masked as a whole adds nothing, and a NaN in any part is not lost") {
  const auto base = test::normal_values<double>(20, 2);
  auto policy = test::normal_values<double>(20, 1);
  for (std::size_t j = 10; j < 20; ++j) policy[j] = -infalign::infinity<double>;
  const auto whole = infalign::statistics_of(state_of(policy, base, 0, 20, 4), both_terms::value);
  for (const bool masked_first : {false, true}) {
    row_state a = state_of(policy, base, 0, 10, 4), b = state_of(policy, base, 10, 20, 4);
    if (masked_first) std::swap(a, b);
    a.merge(b);
    check_close(infalign::statistics_of(a, both_terms::value), whole);
  }
  policy[15] = std::numeric_limits<double>::quiet_NaN();
  for (const bool first : {false, true}) {
    row_state a = state_of(policy, base, 0, 10, 4), b = state_of(policy, base, 10, 20, 4);
    if (first) std::swap(a, b);
    a.merge(b);
    CHECK(std::isnan(infalign::statistics_of(a, both_terms::value).log_prob()));
  }
}
