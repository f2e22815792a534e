// SPDX-License-Identifier: Apache-2.0
// The table of `policy_gradient`: what a row gives that holds -inf, +inf or NaN, or whose data does.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "infalign/objective/losses.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/loss_by_definition.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::clipped_surrogate;
using infalign::index_t;
using infalign::kl_weight;
using infalign::reinforce;
namespace test = infalign::test;

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// One token and everything that is given of it. `old` of 1 stands for none.
template <class T>
struct one_row {
  std::vector<T> policy{1, 0, -1, 2};
  std::vector<T> base{};
  std::int32_t token = 3;
  T advantage = 1;
  T old = T(1);
  double beta = 0;
};

template <class T>
struct found {
  T loss, log_prob, kl, entropy;
  std::vector<T> gradient;
  [[nodiscard]] bool gradient_is_finite() const {
    for (const T g : gradient)
      if (!std::isfinite(g)) return false;
    return true;
  }
  [[nodiscard]] bool gradient_is_nan() const {
    for (const T g : gradient)
      if (!std::isnan(g)) return false;
    return true;
  }
};

/// The row between two ordinary ones, which must not notice it.
template <class C, class Loss>
found<typename C::value> evaluate(const Loss& loss, const one_row<typename C::value>& row) {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  typename C::backend on = C::make_backend();
  const auto v = static_cast<index_t>(row.policy.size());
  const std::vector<T> ordinary = test::normal_values<T>(v, 5);
  const auto between = [&](const std::vector<T>& middle, const std::vector<T>& around) {
    std::vector<T> all = around;
    all.insert(all.end(), middle.begin(), middle.end());
    all.insert(all.end(), around.begin(), around.end());
    return all;
  };
  typename C::template array<T> policy(between(row.policy, ordinary)),
      base(between(row.base, row.base.empty() ? row.base : ordinary));
  typename C::template array<std::int32_t> ids(std::vector<std::int32_t>{0, row.token, 0});
  typename C::template array<T> advantages(std::vector<T>{1, row.advantage, 1}), old(std::vector<T>{-1, row.old, -1});
  typename C::template array<T> out_loss(3), log_prob(3), kl(3), entropy(3), gradient(3 * v);
  infalign::token_logits<T, space> batch{policy.rows(3, v), {}, ids.span()};
  if (!row.base.empty()) batch.base = base.rows(3, v);
  const infalign::token_statistics<T, space> statistics{out_loss.span(), log_prob.span(), kl.span(), entropy.span()};
  const infalign::objective_weights weights{.kl = kl_weight(row.beta)};
  if (row.old == T(1))
    policy_gradient(on, loss, batch, advantages.span(), weights, statistics, gradient.rows(3, v));
  else
    policy_gradient(on, loss, batch, infalign::token_data(advantages.span(), old.span()), weights, statistics,
                    gradient.rows(3, v));
  const auto g = gradient.host();
  for (index_t j = 0; j < v; ++j) {
    CHECK(std::isfinite(g[static_cast<std::size_t>(j)]));
    CHECK(std::isfinite(g[static_cast<std::size_t>(2 * v + j)]));
  }
  return {out_loss.host()[1], log_prob.host()[1], kl.host()[1], entropy.host()[1], {g.begin() + v, g.begin() + 2 * v}};
}

}  // namespace

TEST_CASE_TEMPLATE("masked tokens have no probability and no gradient", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto lowest = static_cast<T>(-infinite);
  for (const bool with_base : {false, true}) {
    one_row<T> row{.policy = {1, lowest, -1, lowest}, .token = 2, .beta = with_base ? 0.5 : 0.0};
    if (with_base) row.base = {0.5, lowest, 1, lowest};
    const auto masked = evaluate<C>(reinforce{}, row);
    row.policy = {1, -1};
    if (with_base) row.base = {0.5, 1};
    row.token = 1;
    const auto short_row = evaluate<C>(reinforce{}, row);
    CHECK(masked.log_prob == doctest::Approx(short_row.log_prob));
    CHECK(masked.kl == doctest::Approx(short_row.kl));
    CHECK(masked.entropy == doctest::Approx(short_row.entropy));
    CHECK(masked.gradient[0] == doctest::Approx(short_row.gradient[0]));
    CHECK(masked.gradient[1] == 0);
    CHECK(masked.gradient[2] == doctest::Approx(short_row.gradient[1]));
    CHECK(masked.gradient[3] == 0);
  }
}

TEST_CASE_TEMPLATE("a sampled token that is masked", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  one_row<T> row{.policy = {1, static_cast<T>(-infinite), -1, 2}, .token = 1, .advantage = 2};
  const auto r = evaluate<C>(reinforce{}, row);
  CHECK(r.log_prob == -infinite);
  CHECK(r.loss == infinite);
  CHECK(r.gradient[1] == -2);
  CHECK(r.gradient_is_finite());
  row.advantage = 0;
  const auto zero = evaluate<C>(reinforce{}, row);
  CHECK(zero.loss == 0);
  for (const T g : zero.gradient) CHECK(g == 0);
  row.advantage = -2, row.old = -1;
  const auto clipped = evaluate<C>(clipped_surrogate(0.2, 0.3), row);  // the ratio is 0, below the lower bound
  CHECK(clipped.loss == doctest::Approx(1.6));
  for (const T g : clipped.gradient) CHECK(g == 0);
}

TEST_CASE_TEMPLATE("a row without a distribution is NaN as a whole", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto lowest = static_cast<T>(-infinite), top = static_cast<T>(infinite), none = static_cast<T>(undefined);
  const std::vector<std::vector<T>> policies{
      {1, none, -1, 2},    {top, 1, 0, 2}, {1, 0, top, top}, {lowest, lowest, lowest, lowest}, {none, lowest, lowest, lowest},
      {1, lowest, 0, none}};
  for (const std::vector<T>& policy : policies)
    for (const double beta : {0.0, 0.5}) {
      one_row<T> row{.policy = policy, .base = {0, 1, 2, 1}, .token = 3, .beta = beta};
      const auto r = evaluate<C>(reinforce{}, row);
      CHECK(std::isnan(r.log_prob));
      CHECK(std::isnan(r.kl));
      CHECK(std::isnan(r.entropy));
      CHECK(std::isnan(r.loss));
      CHECK(r.gradient_is_nan());
    }
}

TEST_CASE_TEMPLATE("an infinite KL makes the gradient NaN where it counts, and nowhere else", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const auto lowest = static_cast<T>(-infinite);
  one_row<T> row{.policy = {1, 0, -1, 2}, .base = {0, lowest, 1, 1}, .beta = 0.5};
  const auto counts = evaluate<C>(reinforce{}, row);
  CHECK(counts.kl == infinite);
  CHECK(std::isfinite(counts.loss));
  CHECK(counts.gradient_is_nan());
  row.beta = 0;
  CHECK(evaluate<C>(reinforce{}, row).kl == infinite);
  CHECK(evaluate<C>(reinforce{}, row).gradient_is_finite());
  // The other way round the KL is finite: the policy may leave out what the base has.
  row.beta = 0.5;
  std::swap(row.policy, row.base);
  const auto narrower = evaluate<C>(reinforce{}, row);
  CHECK(narrower.kl == doctest::Approx(static_cast<double>(test::kl(test::wide(row.policy), test::wide(row.base)))));
  CHECK(narrower.gradient_is_finite());
  CHECK(narrower.gradient[1] == 0);
  // A base row without a distribution.
  const std::vector<std::vector<T>> bases{{lowest, lowest, lowest, lowest}, {0, static_cast<T>(undefined), 1, 1}};
  for (const std::vector<T>& base : bases) {
    row = {.base = base, .beta = 0.5};
    CHECK(std::isnan(evaluate<C>(reinforce{}, row).kl));
    CHECK(evaluate<C>(reinforce{}, row).gradient_is_nan());
    row.beta = 0;
    CHECK(evaluate<C>(reinforce{}, row).gradient_is_finite());
  }
}

TEST_CASE_TEMPLATE("old log-probabilities of -inf have a rule, others that are not finite are an error", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  const clipped_surrogate loss(0.2, 0.3);
  one_row<T> row{.advantage = 2, .old = static_cast<T>(-infinite)};
  const auto up = evaluate<C>(loss, row);
  CHECK(up.loss == doctest::Approx(-2.6));
  for (const T g : up.gradient) CHECK(g == 0);
  row.advantage = 0;
  const auto zero = evaluate<C>(loss, row);
  CHECK(zero.loss == 0);
  for (const T g : zero.gradient) CHECK(g == 0);
  row.advantage = -2;
  const auto down = evaluate<C>(loss, row);
  CHECK(down.loss == infinite);
  CHECK(down.gradient_is_nan());
  row.policy[3] = static_cast<T>(-infinite);  // 0 over 0
  CHECK(std::isnan(evaluate<C>(loss, row).loss));
  CHECK(evaluate<C>(loss, row).gradient_is_nan());
  row.advantage = 0;
  CHECK(evaluate<C>(loss, row).loss == 0);
  CHECK(evaluate<C>(loss, row).gradient_is_finite());
  for (const double bad : {undefined, infinite}) {
    row.old = static_cast<T>(bad);
    const std::string message = test::message_of<infalign::domain_error>([&] { evaluate<C>(loss, row); });
    CHECK(message ==
          "policy_gradient: old_log_prob[1] is " + std::string(std::isnan(bad) ? "nan" : "inf") + ", must be a number or -inf");
    // Also where the loss does not read them.
    CHECK(test::message_of<infalign::domain_error>([&] { evaluate<C>(reinforce{}, row); }) == message);
  }
}

TEST_CASE_TEMPLATE("an infinite KL in a sequence reaches the tokens before it", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using space = typename C::backend::memory_space;
  typename C::backend on = C::make_backend();
  const auto lowest = static_cast<T>(-infinite);
  typename C::template array<T> policy(std::vector<T>{1, 0, 0, 1, 2, 1}), base(std::vector<T>{0, 1, lowest, 1, 1, 1});
  typename C::template array<std::int32_t> ids(std::vector<std::int32_t>{0, 1, 0});
  typename C::template array<index_t> offsets(std::vector<index_t>{0, 3});
  typename C::template array<T> advantages(std::vector<T>{1}), gradient(6);
  const infalign::token_logits<T, space> batch{policy.rows(3, 2), base.rows(3, 2), ids.span()};
  infalign::sequence_policy_gradient(on, batch, offsets.span(), advantages.span(), {.kl = kl_weight(0.5)},
                                     infalign::token_statistics<T, space>{}, gradient.rows(3, 2));
  const auto g = gradient.host();
  for (const std::size_t j : {0, 1, 2, 3}) CHECK(std::isnan(g[j]));
  for (const std::size_t j : {4, 5}) CHECK(std::isfinite(g[j]));
}
