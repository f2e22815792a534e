// SPDX-License-Identifier: Apache-2.0
#include "infalign/logits/kept_ids.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/policy_gradient.hpp"
#include "infalign/objective/sequence_policy_gradient.hpp"
#include "logits/token_batch.hpp"
#include "support/configurations.hpp"

using infalign::index_t;
using infalign::infinity;
namespace test = infalign::test;

namespace {

/// For each of six tokens the ids that were kept, and the same said by logits of -inf elsewhere.
template <class C>
struct kept_batch {
  using T = typename C::value;
  static constexpr index_t tokens = 6, columns = 53;
  test::token_batch<C> batch{tokens, columns};
  test::token_batch<C> masked{tokens, columns};
  std::vector<std::int32_t> ids;
  std::vector<index_t> offsets{0};

  kept_batch() {
    for (index_t t = 0; t < tokens; ++t) {
      const std::int32_t own = batch.ids[static_cast<std::size_t>(t)];
      for (std::int32_t j = 0; j < columns; ++j) {
        const bool keeps = j == own || (t != 2 && (j * 7 + t) % (t + 2) == 0);  // token 2 keeps its own id alone
        if (keeps) ids.push_back(j);
        if (!keeps) masked.row(t)[j] = masked.base_row(t)[j] = -infinity<T>;
        if (!keeps && t == 3) batch.row(t)[j] = batch.base_row(t)[j] = test::not_a_number<T>;  // is not read
      }
      offsets.push_back(static_cast<index_t>(ids.size()));
    }
  }
};

template <class T>
bool is_zero_outside(const std::vector<T>& gradient, const std::vector<std::int32_t>& ids, const std::vector<index_t>& offsets,
                     index_t columns) {
  std::vector<bool> kept(gradient.size());
  for (std::size_t t = 0; t + 1 < offsets.size(); ++t)
    for (index_t i = offsets[t]; i < offsets[t + 1]; ++i)
      kept[t * static_cast<std::size_t>(columns) + static_cast<std::size_t>(ids[static_cast<std::size_t>(i)])] = true;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    if (!kept[i] && gradient[i] != T(0)) return false;
  return true;
}

}  // namespace

// TRL 6789, 7269, vLLM 49577: what was sampled from a kept set has the probabilities of that set.
TEST_CASE_TEMPLATE("lists of kept ids are logits of -inf elsewhere", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const kept_batch<C> k;
  typename C::template array<std::int32_t> ids(k.ids);
  typename C::template array<index_t> offsets(k.offsets), rollouts(std::vector<index_t>{0, 2, 6});
  typename C::template array<T> of_rollouts(std::vector<T>{T(1), T(-2)});
  for (const infalign::logit_map& map : {infalign::logit_map{}, infalign::logit_map{.scale = 1.25, .cap = 4}})
    for (const bool sequence : {false, true}) {
      test::loaded_batch<C> kept(k.batch), dense(k.masked), in_place(k.batch);
      const auto run = [&](test::loaded_batch<C>& data, test::logits_of<C> logits, const auto& gradient) {
        logits.map = map;
        if (sequence)
          sequence_policy_gradient(on, logits, rollouts.span(), of_rollouts.span(), test::all_weights, data.statistics(),
                                   gradient);
        else
          policy_gradient(on, infalign::reinforce{}, logits, data.advantages.span(), test::all_weights, data.statistics(),
                          gradient);
      };
      run(kept, kept.with_base().keeping(ids.span(), offsets.span()), kept.gradient());
      run(in_place, in_place.with_base().keeping(ids.span(), offsets.span()), in_place.gradient_over_logits());
      run(dense, dense.with_base(), dense.gradient());
      const auto gradient = kept.gradient_values.host();
      CHECK(in_place.policy_values.host() == gradient);
      CHECK(is_zero_outside(gradient, k.ids, k.offsets, k.columns));
      CHECK(test::close(gradient, dense.gradient_values.host()));
      CHECK(test::close(kept.loss.host(), dense.loss.host()));
      CHECK(test::close(kept.log_prob.host(), dense.log_prob.host()));
      CHECK(test::close(kept.kl.host(), dense.kl.host()));
      CHECK(test::close(kept.entropy.host(), dense.entropy.host()));
      // One id is certain.
      CHECK(std::abs(kept.log_prob.host()[2]) <= test::accuracy<T>);
      CHECK(kept.kl.host()[2] == 0);
      CHECK(kept.entropy.host()[2] == 0);
      for (index_t j = 0; j < k.columns; ++j)
        CHECK(std::abs(gradient[static_cast<std::size_t>(2 * k.columns + j)]) <= test::accuracy<T>);
    }
}

TEST_CASE_TEMPLATE("a threshold is logits of -inf below it, in both policies", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t v : {5, 53, 5003}) {
    test::token_batch<C> batch(4, v), masked(4, v);
    std::vector<float> lowest{-1.0F, 0.5F, -infinity<float>, 2.0F};
    for (index_t t = 0; t < 4; ++t) {
      const auto i = static_cast<std::size_t>(t);
      batch.row(t)[batch.ids[i]] = static_cast<T>(lowest[i] > -9 ? lowest[i] : 1);  // as low as can be
      batch.row(t)[(batch.ids[i] + 1) % v] = T(-5);
      batch.base_row(t)[(batch.ids[i] + 1) % v] = T(300);  // large in the base alone
      std::copy_n(batch.row(t), v, masked.row(t));
      std::copy_n(batch.base_row(t), v, masked.base_row(t));
      for (index_t j = 0; j < v; ++j)
        if (batch.row(t)[j] < static_cast<T>(lowest[i])) masked.row(t)[j] = masked.base_row(t)[j] = -infinity<T>;
    }
    masked.ids = batch.ids;
    typename C::template array<float> thresholds(lowest);
    for (const infalign::logit_map& map : {infalign::logit_map{}, infalign::logit_map{.scale = 1.25, .cap = 4}}) {
      test::loaded_batch<C> kept(batch), dense(masked), in_place(batch);
      const auto run = [&](test::loaded_batch<C>& data, test::logits_of<C> logits, const auto& gradient) {
        logits.map = map;
        policy_gradient(on, infalign::reinforce{}, logits, data.advantages.span(), test::all_weights, data.statistics(),
                        gradient);
      };
      run(kept, kept.with_base().at_least(thresholds.span()), kept.gradient());
      run(in_place, in_place.with_base().at_least(thresholds.span()), in_place.gradient_over_logits());
      run(dense, dense.with_base(), dense.gradient());
      CHECK(in_place.policy_values.host() == kept.gradient_values.host());
      CHECK(test::close(kept.gradient_values.host(), dense.gradient_values.host()));
      CHECK(test::close(kept.loss.host(), dense.loss.host()));
      CHECK(test::close(kept.kl.host(), dense.kl.host()));
      CHECK(test::close(kept.entropy.host(), dense.entropy.host()));
    }
  }
  test::loaded_batch<C> loaded(test::token_batch<C>(2, 5));
  typename C::template array<double> bad(std::vector<double>{1, std::nan("")}), three(3, 0.0);
  const auto message = [&](const auto& lowest) {
    return test::message_of<infalign::error>(
        [&] { compute_token_statistics(on, loaded.with_base().at_least(lowest), loaded.statistics()); });
  };
  CHECK(message(bad.span()) == "compute_token_statistics: thresholds[1] is nan, must be a number or -inf");
  CHECK(message(three.span()) == "compute_token_statistics: thresholds has 3 values, but there are 2 tokens");
}

TEST_CASE_TEMPLATE("kept ids and a threshold together are logits of -inf by either", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  kept_batch<C> k;
  std::vector<T> lowest;
  for (index_t t = 0; t < k.tokens; ++t) {
    const std::int32_t own = k.batch.ids[static_cast<std::size_t>(t)];
    lowest.push_back(k.batch.row(t)[own]);
    if (t == 3) k.batch.row(t)[own] = T(0), lowest.back() = 0;
    for (index_t j = 0; j < k.columns; ++j)
      if (!(k.batch.row(t)[j] >= lowest.back())) k.masked.row(t)[j] = k.masked.base_row(t)[j] = -infinity<T>;
    k.masked.row(t)[own] = k.batch.row(t)[own];
  }
  test::loaded_batch<C> kept(k.batch), dense(k.masked);
  typename C::template array<std::int32_t> ids(k.ids);
  typename C::template array<index_t> offsets(k.offsets);
  typename C::template array<T> thresholds(lowest);
  policy_gradient(on, infalign::reinforce{}, kept.with_base().keeping(ids.span(), offsets.span()).at_least(thresholds.span()),
                  kept.advantages.span(), test::all_weights, kept.statistics(), kept.gradient());
  policy_gradient(on, infalign::reinforce{}, dense.with_base(), dense.advantages.span(), test::all_weights, dense.statistics(),
                  dense.gradient());
  CHECK(test::close(kept.gradient_values.host(), dense.gradient_values.host()));
  CHECK(test::close(kept.loss.host(), dense.loss.host()));
  CHECK(test::close(kept.kl.host(), dense.kl.host()));
  CHECK(test::close(kept.entropy.host(), dense.entropy.host()));
}

TEST_CASE_TEMPLATE("kept ids in the passes apart, of 64 bits, with gradients of 16", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  using infalign::bfloat16;
  typename C::backend on = C::make_backend();
  const kept_batch<C> k;
  typename C::template array<std::int64_t> ids(std::vector<std::int64_t>(k.ids.begin(), k.ids.end()));
  typename C::template array<index_t> offsets(k.offsets);
  test::loaded_batch<C> fused(k.batch), apart(k.batch);
  const auto logits = apart.with_base().keeping(ids.span(), offsets.span());
  policy_gradient(on, infalign::reinforce{}, fused.with_base().keeping(ids.span(), offsets.span()), fused.advantages.span(),
                  test::all_weights, fused.statistics(), fused.gradient());
  std::vector<infalign::row_coefficients> wanted;
  for (const T a : k.batch.advantages) wanted.push_back({0.5 * static_cast<double>(a), 0.5 * 0.3, 0.5 * 0.05});
  typename C::template array<infalign::row_coefficients> coefficients(wanted);
  typename C::template array<infalign::row_state> states(k.tokens);
  typename C::template array<infalign::row_statistics> statistics(k.tokens);
  typename C::template array<bfloat16> narrow(k.tokens * k.columns);
  read_logits(on, logits, {.kl = true, .entropy = true}, states.span());
  finish_rows(on, {.kl = true, .entropy = true}, states.span(), statistics.span());
  write_logit_gradient(on, logits, statistics.span(), coefficients.span(), apart.gradient());
  write_logit_gradient(on, logits, statistics.span(), coefficients.span(), narrow.rows(k.tokens, k.columns));
  const auto gradient = fused.gradient_values.host();
  CHECK(test::close(apart.gradient_values.host(), gradient));
  const auto rounded = narrow.host();
  for (std::size_t i = 0; i < gradient.size(); ++i)
    CHECK(std::abs(static_cast<double>(static_cast<float>(rounded[i])) - static_cast<double>(gradient[i])) <=
          0x1p-8 * std::abs(static_cast<double>(gradient[i])) + 1e-6);
  compute_token_statistics(on, logits, apart.statistics());
  CHECK(test::close(apart.kl.host(), fused.kl.host()));
}

TEST_CASE_TEMPLATE("what is wrong with kept ids is named, and tokens that are left out need none", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  test::token_batch<C> batch(3, 9);
  batch.ids = {4, 0, 8};
  test::loaded_batch<C> loaded(batch);
  typename C::template array<T> mask(std::vector<T>{T(1), T(0), T(1)});
  const auto message = [&](const std::vector<std::int32_t>& list, const std::vector<index_t>& where, bool masked = false) {
    typename C::template array<std::int32_t> ids(list);
    typename C::template array<index_t> offsets(where);
    auto data = infalign::token_data(loaded.advantages.span());
    if (masked) data = data.weighted_by(mask.span());
    return test::message_of<infalign::error>([&] {
      policy_gradient(on, infalign::reinforce{}, loaded.with_base().keeping(ids.span(), offsets.span()), data,
                      test::all_weights, loaded.statistics(), loaded.gradient());
    });
  };
  CHECK(message({3, 4, 0, 1, 8}, {0, 2, 4, 5}) == "nothing thrown");
  CHECK(message({3, 4, 0, 1, 9}, {0, 2, 4, 5}) == "policy_gradient: kept.ids[4] is 9, must be in [0, 8]");
  CHECK(message({-3, 4, 0, 1, 8}, {0, 2, 4, 5}) == "policy_gradient: kept.ids[0] is -3, must be in [0, 8]");
  CHECK(message({3, 4, 1, 0, 8}, {0, 2, 4, 5}) ==
        "policy_gradient: kept.ids[3] is 0, those of a token must ascend, none twice");
  CHECK(message({4, 4, 0, 1, 8}, {0, 2, 4, 5}) ==
        "policy_gradient: kept.ids[1] is 4, those of a token must ascend, none twice");
  CHECK(message({3, 4, 0, 1, 7}, {0, 2, 4, 5}) == "policy_gradient: kept.ids of token 2 do not hold its own id, 8");
  CHECK(message({3, 4, 8}, {0, 2, 2, 3}) == "policy_gradient: kept.ids of token 1 do not hold its own id, 0");
  CHECK(message({3, 4, 8}, {0, 2, 3}) == "policy_gradient: kept.offsets has 3 values, but there are 3 tokens");
  CHECK(message({3, 4, 8}, {0, 2, 1, 3}).find("kept.offsets[2] is 1, less than the offset before it") != std::string::npos);
  CHECK(message({3, 4, 8}, {}) == "policy_gradient: kept.offsets has 0 values, but there are 3 tokens");
  typename C::template array<std::int32_t> list(std::vector<std::int32_t>{3, 4, 0, 1, 8});
  typename C::template array<index_t> where(std::vector<index_t>{0, 2, 4, 5});
  typename C::template array<T> two(2, T(1));  // weights are read with the ids, so their number is known before
  CHECK(test::message_of<infalign::shape_error>([&] {
          policy_gradient(on, infalign::reinforce{}, loaded.with_base().keeping(list.span(), where.span()),
                          infalign::token_data(loaded.advantages.span()).weighted_by(two.span()), test::all_weights,
                          loaded.statistics(), loaded.gradient());
        }) == "policy_gradient: weights has 2 values, but there are 3 tokens");
  CHECK(message({3, 4, 8}, {0, 2, 2, 3}, true) == "nothing thrown");
  const auto gradient = loaded.gradient_values.host();
  for (std::size_t j = 9; j < 18; ++j) CHECK(gradient[j] == 0);
  CHECK(gradient[3] != 0);
}
