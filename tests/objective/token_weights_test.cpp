// SPDX-License-Identifier: Apache-2.0
/// \file
/// Weights of tokens, ids that are left out, ids of 64 bits: what a padded batch of a trainer needs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "infalign/logits/token_ids.hpp"
#include "infalign/objective/losses.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"

using infalign::clipped_surrogate;
using infalign::entropy_weight;
using infalign::index_t;
using infalign::kl_weight;
using infalign::objective_weights;
using infalign::policy_gradient;
using infalign::reinforce;
using infalign::sequence_policy_gradient;
using infalign::token_data;
using infalign::token_ids;
using infalign::test::loaded_batch;
using infalign::test::message_of;
using infalign::test::not_a_number;
using infalign::test::token_batch;

namespace {

/// All that a call wrote.
template <class T>
struct written {
  std::vector<T> gradient, loss, log_prob, kl, entropy;
  template <class Loaded>
  explicit written(const Loaded& from)
      : gradient(from.gradient_values.host()),
        loss(from.loss.host()),
        log_prob(from.log_prob.host()),
        kl(from.kl.host()),
        entropy(from.entropy.host()) {}
};

const objective_weights weighted_terms{.kl = kl_weight(0.3), .entropy = entropy_weight(0.2), .scale = 0.5};

/// A loss that shows what it is told of its rollout.
struct ratio_and_length {
  static constexpr bool needs_old_log_prob = true;
  INFALIGN_HD infalign::loss_value operator()(const infalign::token_row& row) const {
    return {row.sequence_log_ratio, row.sequence_log_ratio / static_cast<double>(row.sequence_length)};
  }
};

}  // namespace

TEST_CASE_TEMPLATE("a weight multiplies a token's whole gradient, and its statistics stay", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const token_batch<C> batch(4, 37);
  loaded_batch<C> plain(batch), weighted(batch);
  typename C::template array<T> weights(std::vector<T>{T(1), T(0.25), T(-2), T(4)});
  policy_gradient(on, reinforce{}, plain.with_base(), plain.advantages.span(), weighted_terms, plain.statistics(),
                  plain.gradient());
  policy_gradient(on, reinforce{}, weighted.with_base(), token_data(weighted.advantages.span()).weighted_by(weights.span()),
                  weighted_terms, weighted.statistics(), weighted.gradient());
  const written<T> a(plain), b(weighted);
  CHECK(b.loss == a.loss);
  CHECK(b.kl == a.kl);
  CHECK(b.entropy == a.entropy);
  const T by[] = {T(1), T(0.25), T(-2), T(4)};  // powers of 2: no rounding
  for (std::size_t i = 0; i < a.gradient.size(); ++i) CHECK(b.gradient[i] == by[i / 37] * a.gradient[i]);
}

TEST_CASE_TEMPLATE("tokens of weight 0, or with the id to leave out, are not read and get 0", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t columns : {1, 5, 37, 5000}) {
    token_batch<C> batch(5, columns);
    loaded_batch<C> whole(batch);
    typename C::template array<T> old(batch.advantages);
    const clipped_surrogate loss(0.2, 0.2);
    policy_gradient(on, loss, whole.with_base(), token_data(whole.advantages.span(), old.span()), weighted_terms,
                    whole.statistics(), whole.gradient());
    const written<T> expected(whole);
    // Nothing that belongs to tokens 1 and 3 makes any sense.
    std::vector<T> old_values = batch.advantages;
    for (const index_t t : {1, 3}) {
      for (index_t j = 0; j < columns; ++j) batch.row(t)[j] = batch.base_row(t)[j] = not_a_number<T>;
      batch.advantages[static_cast<std::size_t>(t)] = old_values[static_cast<std::size_t>(t)] = not_a_number<T>;
    }
    const auto check = [&](const loaded_batch<C>& found) {
      const written<T> got(found);
      for (std::size_t t = 0; t < 5; ++t) {
        const bool out = t == 1 || t == 3;
        CHECK(got.loss[t] == (out ? T(0) : expected.loss[t]));
        CHECK(got.log_prob[t] == (out ? T(0) : expected.log_prob[t]));
        CHECK(got.kl[t] == (out ? T(0) : expected.kl[t]));
        CHECK(got.entropy[t] == (out ? T(0) : expected.entropy[t]));
        bool same = true;
        for (std::size_t j = 0; j < static_cast<std::size_t>(columns); ++j) {
          const std::size_t i = t * static_cast<std::size_t>(columns) + j;
          same = same && got.gradient[i] == (out ? T(0) : expected.gradient[i]);
        }
        CHECK(same);
      }
    };
    typename C::template array<T> strange_old(old_values);
    loaded_batch<C> by_weight(batch);
    typename C::template array<double> weights(std::vector<double>{1, 0, 1, 0, 1});
    policy_gradient(on, loss, by_weight.with_base(),
                    token_data(by_weight.advantages.span(), strange_old.span()).weighted_by(weights.span()), weighted_terms,
                    by_weight.statistics(), by_weight.gradient());
    check(by_weight);
    // The same by ids of 64 bits, in place of the logits.
    loaded_batch<C> by_id(batch);
    typename C::template array<std::int64_t> ids(
        std::vector<std::int64_t>{batch.ids[0], -100, batch.ids[2], -100, batch.ids[4]});
    auto logits = by_id.with_base();
    logits.tokens = token_ids<typename C::backend::memory_space>(ids.span()).ignoring(-100);
    policy_gradient(on, loss, logits, token_data(by_id.advantages.span(), strange_old.span()), weighted_terms,
                    by_id.statistics(), by_id.gradient());
    check(by_id);
  }
}

TEST_CASE_TEMPLATE("a padded batch is the ragged one, to the bit", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  // Rollouts of 3, 1 and 2 tokens; padded to 3, the second on the left, the third with a hole.
  const index_t columns = 19;
  const token_batch<C> packed(6, columns);
  const std::vector<index_t> places{0, 1, 2, 5, 6, 8}, offsets{0, 3, 4, 6}, padded_offsets{0, 3, 6, 9};
  token_batch<C> padded(9, columns, 77);
  std::vector<T> old(6), padded_old(9, not_a_number<T>);
  std::vector<std::int32_t> ids(9, -1);
  for (std::size_t k = 0; k < places.size(); ++k) {
    const auto t = static_cast<index_t>(k);
    for (index_t j = 0; j < columns; ++j) {
      padded.row(places[k])[j] = packed.logits[static_cast<std::size_t>(t * columns + j)];
      padded.base_row(places[k])[j] = packed.base[static_cast<std::size_t>(t * columns + j)];
    }
    padded_old[static_cast<std::size_t>(places[k])] = old[k] = static_cast<T>(-2.5 - 0.1 * static_cast<double>(k));
    ids[static_cast<std::size_t>(places[k])] = packed.ids[k];
  }
  loaded_batch<C> a(packed), b(padded);
  typename C::template array<T> advantages(std::vector<T>{T(1), T(-0.5), T(2)}), a_old(old), b_old(padded_old);
  typename C::template array<index_t> a_offsets(offsets), b_offsets(padded_offsets);
  typename C::template array<std::int32_t> b_ids(ids);
  const auto run = [&](const auto& loss) {
    sequence_policy_gradient(on, loss, a.with_base(), a_offsets.span(), token_data(advantages.span(), a_old.span()),
                             weighted_terms, a.statistics(), a.gradient());
    auto logits = b.with_base();
    logits.tokens = token_ids<typename C::backend::memory_space>(b_ids.span()).ignoring(-1);
    sequence_policy_gradient(on, loss, logits, b_offsets.span(), token_data(advantages.span(), b_old.span()), weighted_terms,
                             b.statistics(), b.gradient());
    const written<T> expected(a), found(b);
    for (std::size_t t = 0; t < 9; ++t) {
      const auto place = std::find(places.begin(), places.end(), static_cast<index_t>(t));
      const auto k = static_cast<std::size_t>(place - places.begin());
      CHECK(found.loss[t] == (place == places.end() ? T(0) : expected.loss[k]));
      CHECK(found.kl[t] == (place == places.end() ? T(0) : expected.kl[k]));
      bool same = true;
      for (std::size_t j = 0; j < static_cast<std::size_t>(columns); ++j)
        same = same && found.gradient[t * static_cast<std::size_t>(columns) + j] ==
                           (place == places.end() ? T(0) : expected.gradient[k * static_cast<std::size_t>(columns) + j]);
      CHECK(same);
    }
  };
  run(reinforce{});
  run(clipped_surrogate(0.1, 0.2));
  run(ratio_and_length{});
  run(infalign::gmpo(0.4, 0.4));  // the mean over a response of a term of the loss's own
}

// TRL 3256, NeMo-RL 3656: the mean over responses of means over their tokens, of the KL as well.
TEST_CASE_TEMPLATE("weights of 1/|y| make means over responses, the KL included", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const index_t columns = 11;
  const token_batch<C> batch(6, columns);
  typename C::template array<double> weights(std::vector<double>{0.5, 0.5, 0.25, 0.25, 0.25, 0.25});
  loaded_batch<C> loaded(batch);
  policy_gradient(on, reinforce{}, loaded.with_base(), token_data(loaded.advantages.span()).weighted_by(weights.span()),
                  {.kl = kl_weight(0.7), .scale = 0.5}, loaded.statistics(), loaded.gradient());
  const auto gradient = loaded.gradient_values.host();
  // d/dl_j of (1/2)·Σ_r (1/|y_r|)·Σ_t [-A·log p(a) + β·KL], in double.
  for (index_t t = 0; t < 6; ++t) {
    std::vector<double> p, q;
    double p_sum = 0, q_sum = 0, kl = 0;
    for (index_t j = 0; j < columns; ++j) {
      p.push_back(std::exp(static_cast<double>(batch.logits[static_cast<std::size_t>(t * columns + j)])));
      q.push_back(std::exp(static_cast<double>(batch.base[static_cast<std::size_t>(t * columns + j)])));
      p_sum += p.back();
      q_sum += q.back();
    }
    const auto ratio = [&](std::size_t j) { return std::log(p[j] / p_sum) - std::log(q[j] / q_sum); };
    for (std::size_t j = 0; j < p.size(); ++j) kl += p[j] / p_sum * ratio(j);
    const double length = t < 2 ? 2 : 4;
    for (std::size_t j = 0; j < p.size(); ++j) {
      const double score = static_cast<double>(batch.advantages[static_cast<std::size_t>(t)]) *
                           (p[j] / p_sum - (static_cast<index_t>(j) == batch.ids[static_cast<std::size_t>(t)] ? 1 : 0));
      const double expected = 0.5 / length * (score + 0.7 * p[j] / p_sum * (ratio(j) - kl));
      const double found = static_cast<double>(gradient[static_cast<std::size_t>(t * columns) + j]);
      CHECK(std::abs(found - expected) <= (sizeof(T) == 4 ? 1e-5 : 1e-13));
    }
  }
}

TEST_CASE_TEMPLATE("the passes leave rows out by their id", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const token_batch<C> batch(3, 13);
  loaded_batch<C> loaded(batch);
  typename C::template array<std::int64_t> ids(std::vector<std::int64_t>{batch.ids[0], 7, batch.ids[2]});
  auto logits = loaded.without_base();
  logits.tokens = token_ids<typename C::backend::memory_space>(ids.span()).ignoring(7);
  typename C::template array<infalign::row_state> states(3, {});
  typename C::template array<infalign::row_statistics> statistics(3, {});
  typename C::template array<infalign::row_coefficients> coefficients(3, {.score = 1});
  read_logits(on, logits, {}, states.span());
  finish_rows(on, {}, states.span(), statistics.span());
  write_logit_gradient(on, logits, statistics.span(), coefficients.span(), loaded.gradient());
  const auto gradient = loaded.gradient_values.host();
  for (std::size_t j = 0; j < 13; ++j) {
    CHECK(gradient[13 + j] == T(0));
    CHECK(gradient[j] != T(0));
  }
}

TEST_CASE_TEMPLATE("what is wrong with ids and weights is named", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const token_batch<C> batch(3, 5);
  loaded_batch<C> loaded(batch);
  const auto message = [&](const auto& logits, const auto& data) {
    return message_of<infalign::error>(
        [&] { policy_gradient(on, reinforce{}, logits, data, {}, loaded.statistics(), loaded.gradient()); });
  };
  typename C::template array<std::int64_t> ids(std::vector<std::int64_t>{0, -100, 5'000'000'000});
  auto logits = loaded.without_base();
  logits.tokens = ids.span();
  CHECK(message(logits, loaded.advantages.span()) == "policy_gradient: tokens[1] is -100, must be in [0, 4]");
  logits.tokens = logits.tokens.ignoring(-100);
  CHECK(message(logits, loaded.advantages.span()) == "policy_gradient: tokens[2] is 5000000000, must be in [0, 4]");
  typename C::template array<T> weights(std::vector<T>{T(1), not_a_number<T>, T(1)});
  const auto data = token_data(loaded.advantages.span());
  CHECK(message(loaded.without_base(), data.weighted_by(weights.span())) ==
        "policy_gradient: weights[1] is nan, must be finite");
  typename C::template array<double> two(2, 1.0);
  CHECK(message(loaded.without_base(), data.weighted_by(two.span())) ==
        "policy_gradient: weights has 2 values, but there are 3 tokens");
  typename C::template array<T> bad(std::vector<T>{T(1), T(1), not_a_number<T>});
  typename C::template array<T> mask(std::vector<T>{T(1), T(0), T(1)});
  CHECK(message(loaded.without_base(), token_data(bad.span()).weighted_by(mask.span())) ==
        "policy_gradient: advantages[2] is nan, must be finite");
  if constexpr (std::same_as<T, double> || std::same_as<T, float>)
    CHECK(message(loaded.without_base(), data.weighted_by(loaded.gradient_values.span())).find("weights has 15 values") !=
          std::string::npos);
  typename C::template array<T> shared(3, T(1));
  auto statistics = loaded.statistics();
  statistics.loss = shared.span();
  CHECK(message_of<infalign::error>([&] {
          policy_gradient(on, reinforce{}, loaded.without_base(), data.weighted_by(shared.span()), {}, statistics,
                          loaded.gradient());
        }) == "policy_gradient: statistics.loss overlaps weights");
}
