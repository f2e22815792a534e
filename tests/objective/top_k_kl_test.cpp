// SPDX-License-Identifier: Apache-2.0
#include "infalign/objective/top_k_kl.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "logits/loss_by_definition.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"

using infalign::index_t;
using infalign::infinity;
using infalign::kl_direction;
namespace test = infalign::test;

namespace {

/// Of every token the `k` ids that begin at a place of its own, with the log-probabilities of `base`.
template <class C>
struct known_ids {
  std::vector<std::int32_t> ids;
  std::vector<index_t> offsets{0};
  std::vector<double> log_prob;
  known_ids(test::token_batch<C>& batch, index_t k) {
    for (index_t t = 0; t < batch.tokens; ++t) {
      const test::numbers log_q = test::log_softmax(test::wide(batch.base_row(t), batch.columns));
      const index_t first = (3 * t) % (batch.columns - k + 1);
      for (index_t j = first; j < first + k; ++j) {
        ids.push_back(static_cast<std::int32_t>(j));
        log_prob.push_back(static_cast<double>(log_q[static_cast<std::size_t>(j)]));
      }
      offsets.push_back(static_cast<index_t>(ids.size()));
    }
  }
};

/// The KL over known ids and a bucket, by its definition, of the logits of a row.
struct bucket_kl {
  kl_direction direction;
  std::vector<std::int32_t> ids;
  std::vector<double> log_q;
  long double scale;
  long double cap;
  long double operator()(test::numbers logits) const {
    for (long double& l : logits) l = scale * cap * std::tanh(l / cap);
    const test::numbers log_p = test::log_softmax(logits);
    long double p_rest = 1, q_rest = 1, sum = 0;
    const auto add = [&](long double lp, long double lq) {
      sum += direction == kl_direction::forward ? std::exp(lq) * (lq - lp) : std::exp(lp) * (lp - lq);
    };
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const long double lp = log_p[static_cast<std::size_t>(ids[i])], lq = log_q[i];
      p_rest -= std::exp(lp);
      q_rest -= std::exp(lq);
      add(lp, lq);
    }
    if (ids.size() < logits.size()) add(std::log(p_rest), std::log(q_rest));
    return sum;
  }
};

}  // namespace

TEST_CASE_TEMPLATE("the KL over known ids and a bucket has the values and the gradient of its definition", C,
                   INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t tokens = 3;
  for (const kl_direction direction : {kl_direction::forward, kl_direction::reverse})
    for (const index_t k : {0, 1, 5, 23}) {
      test::token_batch<C> batch(tokens, 23);
      const known_ids<C> known(batch, k);
      typename C::template array<std::int32_t> ids(known.ids);
      typename C::template array<index_t> offsets(known.offsets);
      typename C::template array<double> log_prob(known.log_prob);
      const infalign::top_log_probs<typename C::backend::memory_space> other{ids.span(), offsets.span(), log_prob.span()};
      typename C::template array<T> weights(std::vector<T>{T(1), T(0.5), T(2)});
      test::loaded_batch<C> apart(batch), over(batch);
      const auto logits = [](test::loaded_batch<C>& of) { return of.without_base().soft_capped(6).scaled(0.75); };
      top_k_kl(on, logits(apart), other, direction, 0.5, weights.span(), apart.kl.span(), apart.gradient());
      top_k_kl(on, logits(over), other, direction, 0.5, weights.span(), over.kl.span(), over.gradient_over_logits());
      CHECK(over.policy_values.host() == apart.gradient_values.host());
      std::vector<T> kl, gradient;
      for (index_t t = 0; t < tokens; ++t) {
        const auto part = [&](const auto& all) {
          return std::vector(all.begin() + known.offsets[static_cast<std::size_t>(t)],
                             all.begin() + known.offsets[static_cast<std::size_t>(t) + 1]);
        };
        const bucket_kl definition{direction, part(known.ids), part(known.log_prob), 0.75L, 6};
        const test::numbers row = test::wide(batch.row(t), batch.columns);
        const long double weight = t == 0 ? 1 : t == 1 ? 0.5L : 2;
        kl.push_back(static_cast<T>(definition(row)));
        for (std::size_t j = 0; j < row.size(); ++j)
          gradient.push_back(static_cast<T>(0.5L * weight * test::central_difference(definition, row, j)));
      }
      if (k == 0) {  // nothing is known, and both buckets hold all
        CHECK(apart.kl.host() == std::vector<T>(tokens, T(0)));
        for (const T g : apart.gradient_values.host()) CHECK(std::abs(g) <= T(1e-7));
        continue;
      }
      CHECK(test::close(apart.kl.host(), kl));
      CHECK(test::close(apart.gradient_values.host(), gradient));
    }
}

// verl 7856: a sum over the top ids alone may be negative, and a clamp at 0 then takes the gradient of most tokens.
TEST_CASE_TEMPLATE("a KL over known ids with its bucket is never negative, and at most the whole", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t tokens = 64, k = 4;
  test::token_batch<C> batch(tokens, 40);
  for (std::size_t i = 0; i < batch.base.size(); ++i) batch.base[i] = batch.logits[i] + T(0.1) * batch.base[i];
  const known_ids<C> known(batch, k);
  typename C::template array<std::int32_t> ids(known.ids);
  typename C::template array<index_t> offsets(known.offsets);
  typename C::template array<double> log_prob(known.log_prob);
  test::loaded_batch<C> loaded(batch);
  compute_token_statistics(on, loaded.with_base(), loaded.statistics());
  const std::vector<T> whole = loaded.kl.host();
  top_k_kl(on, loaded.without_base(), {ids.span(), offsets.span(), log_prob.span()}, kl_direction::reverse, 1.0, {},
           loaded.kl.span(), loaded.gradient());
  const std::vector<T> bucketed = loaded.kl.host();
  int negative = 0;
  for (index_t t = 0; t < tokens; ++t) {
    const auto i = static_cast<std::size_t>(t);
    CHECK(bucketed[i] >= 0);
    CHECK(static_cast<double>(bucketed[i]) <= static_cast<double>(whole[i]) + 1e-6);
    const test::numbers log_p = test::log_softmax(test::wide(batch.row(t), batch.columns));
    long double alone = 0;
    for (index_t n = t * k; n < (t + 1) * k; ++n) {
      const long double lp = log_p[static_cast<std::size_t>(known.ids[static_cast<std::size_t>(n)])];
      alone += std::exp(lp) * (lp - static_cast<long double>(known.log_prob[static_cast<std::size_t>(n)]));
    }
    negative += alone < 0 ? 1 : 0;
  }
  CHECK(negative > 10);  // of the formula without a bucket
}

TEST_CASE_TEMPLATE("known ids: zero probabilities, tokens that are left out, and what is refused", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 4);
  batch.ids = {0, -100, 1};
  for (index_t j = 0; j < 4; ++j) batch.row(1)[j] = test::not_a_number<T>;
  test::loaded_batch<C> loaded(batch);
  const auto run = [&](const std::vector<std::int32_t>& list, const std::vector<double>& q, kl_direction direction,
                       index_t weights = 0) {
    typename C::template array<std::int32_t> ids(list);
    typename C::template array<index_t> offsets(std::vector<index_t>{0, 2, 2, 4});
    typename C::template array<double> log_prob(q);
    typename C::template array<T> some(weights, T(1));
    auto logits = loaded.without_base();
    logits.tokens = logits.tokens.ignoring(-100);
    return test::message_of<infalign::error>([&] {
      top_k_kl(on, logits, {ids.span(), offsets.span(), log_prob.span()}, direction, 1.0, some.span(), loaded.kl.span(),
               loaded.gradient());
    });
  };
  CHECK(run({0, 1, 2, 3}, {-infinity<double>, -1, -2, -1}, kl_direction::reverse) == "nothing thrown");
  CHECK(loaded.kl.host()[0] == infinity<T>);
  CHECK(loaded.kl.host()[1] == 0);
  CHECK(std::isfinite(loaded.kl.host()[2]));
  const auto gradient = loaded.gradient_values.host();
  for (std::size_t j = 0; j < 4; ++j) {
    CHECK(std::isnan(gradient[j]));
    CHECK(gradient[4 + j] == 0);
    CHECK(std::isfinite(gradient[8 + j]));
  }
  CHECK(run({0, 1, 2, 3}, {-infinity<double>, -1, -2, -1}, kl_direction::forward) == "nothing thrown");
  CHECK(std::isfinite(loaded.kl.host()[0]));
  CHECK(run({1, 0, 2, 3}, {-1, -1, -1, -1}, kl_direction::forward) ==
        "top_k_kl: other.ids[1] is 0, those of a token must ascend, none twice");
  CHECK(run({0, 4, 2, 3}, {-1, -1, -1, -1}, kl_direction::forward) == "top_k_kl: other.ids[1] is 4, must be in [0, 3]");
  CHECK(run({0, 1, 2, 3}, {-1, 0.5, -1, -1}, kl_direction::forward) ==
        "top_k_kl: other.log_prob[1] is 0.5, must be a log-probability");
  CHECK(run({0, 1, 2, 3}, {-1, std::nan(""), -1, -1}, kl_direction::forward) ==
        "top_k_kl: other.log_prob[1] is nan, must be a log-probability");
  CHECK(run({0, 1, 2, 3}, {-1, -1, -1}, kl_direction::forward) == "top_k_kl: other.log_prob has 3 values, but other.ids has 4");
  CHECK(run({0, 1, 2, 3}, {-1, -1, -1, -1}, kl_direction::forward, 2) ==
        "top_k_kl: weights has 2 values, but there are 3 tokens");
  CHECK(test::message_of<infalign::domain_error>([&] {
          top_k_kl(on, loaded.with_base(), {}, kl_direction::forward, 1.0, {}, loaded.kl.span(), loaded.gradient());
        }) == "top_k_kl: logits have a base, the other policy is given by its log-probabilities");
}
